/** JSON with the line of every value, so that what is wrong can be said where it stands. */

export type Scanned = { value: unknown; lines: ReadonlyMap<string, number> } | { fault: { line: number; detail: string } };

class Fault extends Error {
  constructor(
    readonly at: number,
    message: string,
  ) {
    super(message);
  }
}

/** Read a JSON text: its value and, by JSON pointer, the line (from 1) on which each value begins; or where it is no JSON. */
export function scan(text: string): Scanned {
  const lines = new Map<string, number>();
  const lineAt = lineFinder(text);
  try {
    const value = new Scanner(text, (pointer, at) => lines.set(pointer, lineAt(at))).all();
    return { value, lines };
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    return { fault: { line: lineAt(fault.at), detail: fault.message } };
  }
}

/** Finds the line of a place in a text, from 1. */
function lineFinder(text: string): (at: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (at) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= at) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

/** The line of a value; of what it is in, where it is missing itself. */
export function lineOf(pointer: string, lines: ReadonlyMap<string, number>): number {
  for (let at = pointer; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    const line = lines.get(at);
    if (line !== undefined) return line;
  }
  return 1;
}

class Scanner {
  private at = 0;
  constructor(
    private readonly text: string,
    private readonly seen: (pointer: string, at: number) => void,
  ) {}

  all(): unknown {
    const value = this.value("");
    this.space();
    if (this.at < this.text.length) throw this.fault("Nothing more may stand here.");
    return value;
  }

  private value(pointer: string): unknown {
    this.space();
    this.seen(pointer, this.at);
    const next = this.text[this.at];
    if (next === "{") return this.object(pointer);
    if (next === "[") return this.array(pointer);
    return this.scalar("A value is missing here.");
  }

  private object(pointer: string): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    this.list("}", () => {
      const start = this.at;
      const key = this.text[start] === '"' ? this.scalar("") : undefined;
      if (typeof key !== "string") throw this.fault("A name in double quotes is missing here.");
      if (Object.hasOwn(found, key)) throw new Fault(start, `The name "${key}" stands here twice.`);
      this.space();
      this.take(":", `A colon is missing after "${key}".`);
      const inner = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      const value = this.value(inner);
      this.seen(inner, start);
      Object.defineProperty(found, key, { value, enumerable: true, configurable: true, writable: true });
    });
    return found;
  }

  private array(pointer: string): unknown[] {
    const found: unknown[] = [];
    this.list("]", () => found.push(this.value(`${pointer}/${found.length}`)));
    return found;
  }

  private list(end: "}" | "]", item: () => void): void {
    this.at++;
    this.space();
    if (this.text[this.at] === end) {
      this.at++;
      return;
    }
    for (;;) {
      this.space();
      item();
      this.space();
      if (this.text[this.at] === end) break;
      this.take(",", `A comma or ${end} is missing before this.`);
    }
    this.at++;
  }

  /** A string, number, true, false or null, as `JSON.parse` takes it. */
  private scalar(missing: string): unknown {
    const pattern = /"(?:[^"\\\n]|\\.)*"|[-\w.+]+/y;
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw this.fault(this.text[this.at] === '"' ? "A double quote is missing at the end." : missing);
    try {
      const value: unknown = JSON.parse(found);
      this.at += found.length;
      return value;
    } catch {
      throw this.fault(`${found.slice(0, 20)} is no JSON value.`);
    }
  }

  private take(char: string, missing: string): void {
    if (this.text[this.at] !== char) throw this.fault(missing);
    this.at++;
  }

  private space(): void {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? "")) this.at++;
  }

  private fault(message: string): Fault {
    return new Fault(this.at, message);
  }
}

const WIDTH = 72;

/** A value as JSON for people: what fits into a line stands in one, the rest is indented. */
export function pretty(value: unknown, indent = ""): string {
  const line = oneLine(value);
  if (typeof value !== "object" || value === null || (indent !== "" && indent.length + line.length <= WIDTH)) return line;
  const inner = `${indent}  `;
  const items = Array.isArray(value)
    ? value.map((one) => inner + pretty(one, inner))
    : Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${pretty(one, inner)}`);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return items.length ? `${open}\n${items.join(",\n")}\n${indent}${close}` : open + close;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const pairs = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{${pairs.map(([key, one]) => `${JSON.stringify(key)}: ${oneLine(one)}`).join(", ")}}`;
}
