// @vitest-environment node: it has streams
import { afterEach, expect, test, vi } from "vitest";
import { call, Refused, stream, Unreachable, url } from "./client";
import type { StreamEvent } from "./types";

afterEach(() => vi.unstubAllGlobals());

const answer = (body: BodyInit | null, init?: ResponseInit) => vi.stubGlobal("fetch", vi.fn(async () => new Response(body, init)));

test("a body is sent as JSON, with the headers that were asked for", async () => {
  const fetched = vi.fn(async () => new Response('{"revision": 1}'));
  vi.stubGlobal("fetch", fetched);
  expect(await call("POST", "/v1/x", { body: { until: "hidden" }, headers: { "If-Match": '"0"' } })).toEqual({ revision: 1 });
  expect(fetched).toHaveBeenCalledWith("/v1/x", {
    method: "POST",
    body: '{"until":"hidden"}',
    headers: { "Content-Type": "application/json", "If-Match": '"0"' },
  });
});

test("a problem is thrown as it is", async () => {
  answer('{"status": 409, "title": "Wrong phase", "detail": "call forward first"}', { status: 409 });
  const refused = await call("POST", "/v1/x").catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Refused);
  expect((refused as Refused).problem.detail).toBe("call forward first");
});

test("an error that is no problem is one all the same", async () => {
  answer("<h1>Bad gateway</h1>", { status: 502, statusText: "Bad Gateway" });
  await expect(call("GET", "/v1/x")).rejects.toThrow("The server answered 502 Bad Gateway.");
});

test("no answer at all is told apart", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  await expect(call("GET", "/v1/x")).rejects.toBeInstanceOf(Unreachable);
});

async function events(...chunks: string[]): Promise<StreamEvent[]> {
  const encoder = new TextEncoder();
  answer(new ReadableStream({ start: (to) => (chunks.forEach((chunk) => to.enqueue(encoder.encode(chunk))), to.close()) }));
  return Array.fromAsync(stream("/v1/x"));
}

test("events are read across chunks, comments left out", async () => {
  const found = await events(
    'event: epoch\nid: 1\ndata: {"event":"epoch",',
    '"epoch":1}\n\n: still here\n\nevent: end\nda',
    'ta: {"event":"end"}\n\n',
  );
  expect(found).toEqual([{ event: "epoch", epoch: 1 }, { event: "end" }]);
});

test("a stream that has nothing left is empty", async () => {
  answer(null, { status: 204 });
  expect(await Array.fromAsync(stream("/v1/x"))).toEqual([]);
});

test("a query leaves out what is undefined", () => {
  expect(url("/v1/x", { of: "hidden.z[0]", revision: undefined, n: 3 })).toBe("/v1/x?of=hidden.z%5B0%5D&n=3");
  expect(url("/v1/x", {})).toBe("/v1/x");
});
