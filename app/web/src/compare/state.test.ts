import { afterEach, expect, it, vi } from "vitest";
import { comparedWith, session, snapshot } from "../state/model";
import type { Session, Snapshot } from "../types";
import { backCompared, placeAt, stepCompared, trainCompared } from "./state";

afterEach(() => vi.unstubAllGlobals());

it("moves neither of the two before both are here", async () => {
  const asked: string[] = [];
  const never = (_: string, { method }: RequestInit) => (asked.push(method!), new Promise(() => undefined));
  vi.stubGlobal("fetch", vi.fn(never));
  session.value = { id: "a", revision: 1 } as Session;
  snapshot.value = { allowed: ["forward", "train"] } as unknown as Snapshot;
  comparedWith.value = "b";
  for (const press of [trainCompared, stepCompared, backCompared]) press();
  await new Promise((resolve) => setTimeout(resolve));
  expect(new Set(asked)).toEqual(new Set(["GET"]));
  comparedWith.value = null;
});

it("stands as near to an epoch as a session's own past allows", () => {
  const first = { revision: 2, epochs: 35 };
  expect(placeAt(60, first, { epochs: 200 })).toEqual({ epoch: 60 });
  expect(placeAt(300, first, { epochs: 200 })).toEqual({ epoch: 200 });
  expect(placeAt(10, first, { epochs: 200 })).toEqual({ revision: 2 });
});
