import { expect, it } from "vitest";
import { parted } from "./session-list";
import type { SessionItem } from "../types";

const item = (id: string, updated_at: string) => ({ id, updated_at }) as SessionItem;

it("has the browser's own sessions apart, the last changed first", () => {
  const items = [item("a", "2026-01-01"), item("b", "2026-01-03"), item("c", "2026-01-02")];
  const { own, others } = parted(items, ["a", "b", "gone"]);
  expect(own.map(({ id }) => id)).toEqual(["b", "a"]);
  expect(others.map(({ id }) => id)).toEqual(["c"]);
});
