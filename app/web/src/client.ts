/** Gradstep's HTTP API, called with `fetch`: answers, problems, streams. */

import { anotherKey, carrying, key } from "./key";
import type { Problem, StreamEvent } from "./types";

/** The API refused, and said why. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** No answer came from the server. */
export class Unreachable extends Error {}

export interface Asked {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The response to a call, whatever its type; where that needs a key, a person is asked for it. Throws Refused or Unreachable. */
export async function ask(method: string, path: string, asked: Asked = {}): Promise<Response> {
  for (;;) {
    const sent = key.value;
    const response = await send(method, path, { ...asked, headers: { ...carrying(sent), ...asked.headers } });
    if (response.ok) return response;
    const refused = await refusal(response);
    if (response.status !== 401 || asked.headers?.Authorization || !(await anotherKey(sent, refused.problem))) throw refused;
  }
}

async function send(method: string, path: string, { body, headers, signal }: Asked): Promise<Response> {
  const sent: RequestInit = { method, headers: { ...headers } };
  if (signal) sent.signal = signal;
  if (body instanceof Blob) {
    sent.body = body;
  } else if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers = { "Content-Type": "application/json", ...headers };
  }
  try {
    return await fetch(path, sent);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("No answer from the server.");
  }
}

/** The JSON that a call answers. Throws Refused or Unreachable. */
export async function call<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const response = await ask(method, path, asked);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function refusal(response: Response): Promise<Refused> {
  const problem: Problem = await response.json().catch(() => ({
    type: "about:blank",
    title: response.statusText,
    status: response.status,
    detail: `The server answered ${response.status} ${response.statusText}.`,
    instance: "",
  }));
  return new Refused(problem);
}

/** A stream's events as they come. It is read with `fetch`, as an `EventSource` can carry no key. */
export async function* stream(path: string): AsyncGenerator<StreamEvent> {
  const response = await ask("GET", path, { headers: { Accept: "text/event-stream" } });
  if (response.status === 204 || !response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (kept + value).split("\n\n");
      kept = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data:"));
        if (data) yield JSON.parse(data.slice(5)) as StreamEvent;
      }
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw error;
    throw new Unreachable("The stream broke off.");
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** A path with a query, without the parts that are undefined. */
export function url(path: string, query: Record<string, string | number | undefined>): string {
  const pairs = Object.entries(query).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}
