/** A call of the API as text that can be run as it is: a command for a shell, or Python. */

export interface Call {
  method: string;
  path: string;
  body?: unknown;
}

/** What stands for a table that was sent as a file, of which the page knows the name no more. */
const FILE = "rows.csv";

/** Where both look for the API key, which no text may hold. */
const KEY = "GRADSTEP_KEY";

/** A call as a command for a POSIX shell. `keyed` says that the server wants a key. */
export function asCurl({ method, path, body }: Call, origin: string, keyed = false): string {
  const parts = [`${method === "GET" ? "curl" : `curl -X ${method}`} ${quoted(origin + path)}`];
  if (keyed) parts.push(`-H "Authorization: Bearer $${KEY}"`);
  if (body instanceof Blob) parts.push(`-H ${quoted(`Content-Type: ${body.type}`)}`, `--data-binary @${FILE}`);
  else if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return `${parts.join(" \\\n  ")}\n`;
}

/** Text in a shell's single quotes, in which nothing but they themselves means anything. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A call as Python, with httpx. `keyed` says that the server wants a key. */
export function asPython({ method, path, body }: Call, origin: string, keyed = false): string {
  const lines = [...(keyed ? ["import os", ""] : []), "import httpx", "", `answer = httpx.${method.toLowerCase()}(`, `    ${JSON.stringify(origin + path)},`];
  const headers = keyed ? [`"Authorization": f"Bearer {os.environ['${KEY}']}"`] : [];
  if (body instanceof Blob) {
    lines.push(`    content=open("${FILE}", "rb").read(),`);
    headers.push(`"Content-Type": ${JSON.stringify(body.type)}`);
  } else if (body !== undefined) {
    lines.push(`    json=${literal(body, "    ")},`);
  }
  if (headers.length) lines.push(`    headers={${headers.join(", ")}},`);
  if (/\/train\b/.test(path)) lines.push("    timeout=None,  # it answers when the training is over");
  return [...lines, ")", "answer.raise_for_status()", "print(answer.json())", ""].join("\n");
}

const WIDTH = 88;

/** JSON data as Python writes it, over several lines where it is long. */
export function literal(value: unknown, indent = ""): string {
  const flat = flatLiteral(value);
  if (flat.length <= WIDTH || typeof value !== "object" || value === null) return flat;
  const inner = `${indent}    `;
  if (Array.isArray(value)) return `[\n${value.map((one) => `${inner}${literal(one, inner)},\n`).join("")}${indent}]`;
  return `{\n${pairs(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${literal(one, inner)},\n`).join("")}${indent}}`;
}

function flatLiteral(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(flatLiteral).join(", ")}]`;
  if (typeof value === "object") return `{${pairs(value).map(([key, one]) => `${JSON.stringify(key)}: ${flatLiteral(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}

/** What JSON has of an object: keys that are undefined are not sent. */
const pairs = (value: object): [string, unknown][] => Object.entries(value).filter(([, one]) => one !== undefined);
