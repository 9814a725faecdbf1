import { expect, test } from "vitest";
import type { Config } from "../types";
import { rowsAsText, rowsFromText, withInputs, withLayer, withNewLayer, withoutLayer } from "./config";

const CONFIG: Config = {
  network: {
    inputs: 2,
    layers: [
      { name: "hidden", units: 2, bias: "shared", activation: "relu", init: { weight: [[1, 2], [3, 4]], bias: 0.35 } },
      { name: "output", units: 1, init: { weight: [[5, 6]], bias: [0.6] } },
    ],
  },
  loss: "mse",
  optimizer: "sgd",
}; // prettier-ignore

test("a change of size leaves out the numbers that no longer fit, and only those", () => {
  const wider = withLayer(CONFIG, 0, { ...CONFIG.network.layers[0]!, units: 3 }).network.layers;
  expect(wider.map(({ init }) => init)).toEqual([{ bias: 0.35 }, { bias: [0.6] }]);
  expect(withInputs(CONFIG, 2)).toEqual(CONFIG);
  expect(withInputs(CONFIG, 3).network.layers.map(({ init }) => init?.weight)).toEqual([undefined, [[5, 6]]]);
});

test("a new layer stands before the last, under a name of its own", () => {
  const twice = withNewLayer(withNewLayer(CONFIG));
  expect(twice.network.layers.map(({ name }) => name)).toEqual(["hidden", "hidden2", "hidden3", "output"]);
  expect(twice.network.layers[1]).toMatchObject({ units: 2, activation: "relu" });
  expect(withoutLayer(twice, 1).network.layers.map(({ name }) => name)).toEqual(["hidden", "hidden3", "output"]);
});

test("rows are lines of numbers", () => {
  const data = { inputs: [[0.05, 0.1], [1, 0]], targets: [[0.01], [1]] }; // prettier-ignore
  expect(rowsAsText(data)).toBe("0.05, 0.1, 0.01\n1, 0, 1");
  expect(rowsFromText(rowsAsText(data), 2, false)).toEqual(data);
  expect(rowsFromText("1\t2; 0\n\n−3 x 1", 2, true)).toEqual({ inputs: [[1, 2], [-3, "x"]], targets: [0, 1] }); // prettier-ignore
});
