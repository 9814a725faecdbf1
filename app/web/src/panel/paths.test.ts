import { expect, test } from "vitest";
import type { Path } from "../types";
import { startsAtLayer, titleOf } from "./paths";

const path = (...through: string[]): Path => ({ value: 1, through, factors: [] });

test("paths are told apart by the units in which they differ", () => {
  const shared = [
    path("output.a[0][0]", "output.z[0][0]", "hidden.a[0][0]", "hidden.z[0][0]"),
    path("output.a[0][0]", "output.z[0][0]", "hidden.a[0][1]", "hidden.z[0][1]"),
  ];
  expect(shared.map((one) => titleOf(one, shared))).toEqual(["through hidden unit 1", "through hidden unit 2"]);
});

test("a softmax branches between its a and its z", () => {
  const all = [path("output.a[0][0]", "output.z[0][1]"), path("output.a[0][1]", "output.z[0][0]")];
  expect(titleOf(all[0]!, all)).toBe("through output z 2, output a 1");
});

test("a ledger that starts at its layer is seen by its first number", () => {
  expect(startsAtLayer(path("hidden.a[0][0]", "hidden.z[0][0]"), "output")).toBe(true);
  expect(startsAtLayer(path("output.a[0][0]"), "output")).toBe(false);
});
