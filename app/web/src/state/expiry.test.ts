import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Session } from "../types";
import { watchExpiry } from "./expiry";
import { expired, session, trouble } from "./model";

const MINUTE = 60_000;
let end = () => {};
let asked = 0;
let answer = () => new Response();

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-01T12:00:00Z") });
  vi.stubGlobal("fetch", async () => (asked++, answer()));
  session.value = { id: "abc", revision: 4, expires_at: "2026-01-01T12:10:30Z" } as Session;
  trouble.value = null;
  asked = 0;
  end = watchExpiry();
});
afterEach(() => {
  end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("an expiry is told when it is time, and not asked for before, or again", async () => {
  answer = () => Response.json({ type: "/v1/problems/session-expired", title: "", status: 410, detail: "", instance: "/v1/sessions/abc" }, { status: 410 });
  await vi.advanceTimersByTimeAsync(10 * MINUTE);
  expect([asked, expired.value]).toEqual([0, false]);
  await vi.advanceTimersByTimeAsync(5 * MINUTE);
  expect([asked, expired.value]).toEqual([1, true]);
});

test("a session that was changed lives on, and is asked for again at its new end", async () => {
  answer = () => Response.json({ id: "abc", expires_at: "2026-01-01T13:00:00Z" });
  await vi.advanceTimersByTimeAsync(30 * MINUTE);
  expect([asked, trouble.value, session.value?.revision]).toEqual([1, null, 4]);
  await vi.advanceTimersByTimeAsync(40 * MINUTE);
  expect(asked).toBeGreaterThan(1);
});
