import { expect, test } from "vitest";
import type { Config } from "../types";
import { called, firstSnapshot, shapeOf } from "./shape";

const NOTEBOOK: Config = {
  network: {
    inputs: 2,
    layers: [
      { name: "hidden", units: 2, activation: "sigmoid", bias: "shared", init: { weight: [[0.15, 0.2], [0.25, 0.3]], bias: 0.35 } },
      { units: 1, activation: { type: "leaky_relu", negative_slope: 0.1 } },
    ],
  },
  loss: "half_squared_error",
  optimizer: { type: "sgd", learning_rate: 0.5 },
  data: { inputs: [[0.05, 0.1]], targets: [[0.01]] },
}; // prettier-ignore

test("a config as it is written has the shape of the one that is filled in", () => {
  const shape = shapeOf(NOTEBOOK);
  expect(shape.sizes).toEqual([2, 2, 1]);
  expect(shape.parameters).toBe(2 * 2 + 1 + 2 + 1);
  expect(shape.learningRate).toBe(0.5);
  expect(shape.layers[1]).toEqual({ name: "layer2", units: 1, inputs: 2, activation: "leaky_relu", bias: "per_unit", trainable: true });
  const filled = structuredClone(NOTEBOOK);
  filled.network.layers[1] = { name: "layer2", ...filled.network.layers[1]!, bias: "per_unit", trainable: true };
  expect(shapeOf(filled)).toEqual(shape);
});

test("the first snapshot has the numbers that the config gives, and no others", () => {
  const { layers, inputs, next } = firstSnapshot(NOTEBOOK);
  expect(inputs).toEqual([[0.05, 0.1]]);
  expect(next).toEqual({ operation: "forward", layer: "hidden" });
  expect(layers[0]!.parameters!.weight!.value).toEqual([[0.15, 0.2], [0.25, 0.3]]); // prettier-ignore
  expect(layers[0]!.parameters!.bias!.value).toEqual([0.35]);
  expect(layers[1]!.parameters!.weight!.value).toBe(null);
  expect(layers[0]!.z).toBe(null);
});

test("types are called as people call them", () => {
  expect(called("half_squared_error")).toBe("½ squared error");
  expect(called("sgd")).toBe("SGD");
  expect(called("my_own")).toBe("my own");
});
