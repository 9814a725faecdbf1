import { expect, test } from "vitest";
import { largest, patchOf } from "./merge";

test("options that were taken away are sent as null", () => {
  expect(patchOf({ type: "sgd", momentum: 0.9, clip: null }, { type: "sgd", learning_rate: 0.5 })).toEqual({
    type: "sgd",
    learning_rate: 0.5,
    momentum: null,
  });
});

test("another type is sent whole, by name or with options", () => {
  expect(patchOf({ type: "sgd", momentum: 0.9 }, "adam")).toBe("adam");
  expect(patchOf({ type: "sgd", momentum: 0.9 }, { type: "adam", eps: 1e-8 })).toEqual({ type: "adam", eps: 1e-8 });
});

test("within options, what is gone of the same kind is null, and another kind is sent whole", () => {
  const before = { type: "sgd", schedule: { type: "step", step_size: 3, gamma: 0.5 } };
  expect(patchOf(before, { type: "sgd", schedule: { type: "step", step_size: 4 } })).toEqual({
    type: "sgd",
    schedule: { type: "step", step_size: 4, gamma: null },
  });
  expect(patchOf(before, { type: "sgd", schedule: { type: "exponential", gamma: 1 } })).toEqual({
    type: "sgd",
    schedule: { type: "exponential", gamma: 1 },
  });
});

test("the largest changes come first, by their names, whatever their sign", () => {
  const parameters = {
    "h.weight": { before: [[1, 2]], after: [[1.1, 1]], update: [[0.1, -1]] },
    "h.bias": { before: [0], after: [0.5], update: [0.5] },
  };
  expect(largest(parameters, 2)).toEqual([
    { name: "h.weight[0][1]", before: 2, after: 1, update: -1 },
    { name: "h.bias[0]", before: 0, after: 0.5, update: 0.5 },
  ]);
});
