// @vitest-environment node: it has streams
import { afterEach, expect, test, vi } from "vitest";
import { call, Refused, stream, Unreachable, url } from "./client";
import { asking, give, key } from "./key";
import type { StreamEvent } from "./types";

afterEach(() => {
  vi.unstubAllGlobals();
  key.value = null;
});

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

/** A server that knows one key; what it was sent. */
function keyed(known: string): (string | undefined)[] {
  const seen: (string | undefined)[] = [];
  vi.stubGlobal("fetch", async (_: string, { headers }: { headers: Record<string, string> }) => {
    seen.push(headers.Authorization);
    return headers.Authorization === `Bearer ${known}` ? new Response("{}") : new Response('{"status": 401, "detail": "no"}', { status: 401 });
  });
  return seen;
}
const asked = () => vi.waitFor(() => expect(asking.value).not.toBeNull());

test("calls that need a key wait for one, ask for it once, and are made again", async () => {
  const seen = keyed("right");
  const calls = [call("GET", "/v1/x"), call("POST", "/v1/y", { body: {} }), Array.fromAsync(stream("/v1/z"))];
  await asked();
  expect(asking.value!.problem.detail).toBe("no");
  give("right");
  expect(asking.value).toBeNull();
  expect(await Promise.all(calls)).toEqual([{}, {}, []]);
  await call("GET", "/v1/x");
  expect(seen).toEqual([...Array(3).fill(undefined), ...Array(4).fill("Bearer right")]);
});

test("a key that is refused is asked for anew", async () => {
  const seen = keyed("right");
  key.value = "old";
  const sent = call("GET", "/v1/x");
  await asked();
  give("wrong");
  await asked();
  give("right");
  await sent;
  expect(seen).toEqual(["Bearer old", "Bearer wrong", "Bearer right"]);
});

test("a key that was given while a call was under way is tried first", async () => {
  const seen = keyed("right");
  const sent = call("GET", "/v1/x");
  key.value = "right";
  await sent;
  expect(seen).toEqual([undefined, "Bearer right"]);
});

test("without a key, what waited is refused; the next call asks again", async () => {
  keyed("right");
  for (const _ of [1, 2]) {
    const refused = call("GET", "/v1/x").catch((error: unknown) => error);
    await asked();
    give(null);
    expect(((await refused) as Refused).problem.status).toBe(401);
  }
});

test("a call with a key of its own is not asked about", async () => {
  const seen = keyed("right");
  key.value = "right";
  await expect(call("GET", "/v1/x", { headers: { Authorization: "Bearer tried" } })).rejects.toBeInstanceOf(Refused);
  expect(asking.value).toBeNull();
  expect(seen).toEqual(["Bearer tried"]);
});
