import { expect, test } from "vitest";
import { shapeOf } from "../../state/shape";
import type { Config } from "../../types";
import { blanksFor, wholeStep, type Batch } from "./blanks";

const NOTEBOOK = shapeOf({
  network: { inputs: 2, layers: [{ name: "hidden", units: 2, activation: "sigmoid", bias: "shared" }, { name: "output", units: 1 }] },
  loss: "mse",
  optimizer: "sgd",
});
const ONE: Batch = { sample: 0, samples: 1, targets: true };
const tensors = (groups: ReturnType<typeof blanksFor>) => groups.map(({ rows }) => rows.map(({ tensor }) => tensor));

test("forward asks for z and a, and through the last layer for the loss", () => {
  expect(blanksFor([{ operation: "forward", layer: "hidden" }], NOTEBOOK, ONE)).toEqual([
    {
      title: "Forward through hidden",
      notes: [],
      units: 2,
      rows: [
        { tensor: "hidden.z", entries: ["hidden.z[0][0]", "hidden.z[0][1]"] },
        { tensor: "hidden.a", entries: ["hidden.a[0][0]", "hidden.a[0][1]"] },
      ],
    },
  ]);
  const last = { operation: "forward" as const, layer: "output" };
  expect(tensors(blanksFor([last], NOTEBOOK, ONE))).toEqual([["output.z", "output.a", "loss"]]);
  expect(tensors(blanksFor([last], NOTEBOOK, { ...ONE, targets: false }))).toEqual([["output.z", "output.a"]]);
});

test("backward asks for the gradients, those of the weights a row for each input", () => {
  const [group] = blanksFor([{ operation: "backward", layer: "hidden" }], NOTEBOOK, ONE);
  expect(group!.rows.map(({ entries }) => entries)).toEqual([
    ["hidden.dL_da[0][0]", "hidden.dL_da[0][1]"],
    ["hidden.dL_dz[0][0]", "hidden.dL_dz[0][1]"],
    ["hidden.weight.gradient[0][0]", "hidden.weight.gradient[1][0]"],
    ["hidden.weight.gradient[0][1]", "hidden.weight.gradient[1][1]"],
    ["hidden.bias.gradient[0]"],
  ]);
  expect(group!.rows[4]!.single).toBe("shared: one value");
});

test("an update asks for the new values of what it updates, and of nothing else", () => {
  const groups = blanksFor([{ operation: "step", parameters: ["hidden.weight", "output.bias"] }], NOTEBOOK, ONE);
  expect(groups.map(({ title }) => title)).toEqual(["Update of hidden", "Update of output"]);
  expect(tensors(groups)).toEqual([["hidden.weight.next", "hidden.weight.next"], ["output.bias.next"]]);
});

test("a whole step goes forward, backward, and updates what is trainable", () => {
  const config: Config = {
    network: { inputs: 1, layers: [{ name: "one", units: 1, trainable: false }, { name: "two", units: 1, bias: "none" }] },
    loss: "mse",
    optimizer: "sgd",
  };
  expect(wholeStep(shapeOf(config))).toEqual([
    { operation: "forward", layer: "one" },
    { operation: "forward", layer: "two" },
    { operation: "backward", layer: "two" },
    { operation: "backward", layer: "one" },
    { operation: "step", parameters: ["two.weight"] },
  ]);
});

test("in a batch the blanks are those of one sample, and say so", () => {
  const [group] = blanksFor([{ operation: "forward", layer: "output" }], NOTEBOOK, { sample: 2, samples: 64, targets: true });
  expect(group!.rows[0]!.entries).toEqual(["output.z[2][0]"]);
  expect(group!.rows[2]!.single).toBe("of all 64 samples");
  expect(group!.notes).toEqual(["z and a are those of sample 3 of 64."]);
});

test("of a large layer the first eight units and inputs are asked for, and that is said", () => {
  const large = shapeOf({ network: { inputs: 784, layers: [{ name: "wide", units: 128 }] }, loss: "mse", optimizer: "sgd" });
  const [group] = blanksFor([{ operation: "backward", layer: "wide" }], large, ONE);
  expect(group!.units).toBe(8);
  expect(group!.rows).toHaveLength(2 + 8 + 1);
  expect(group!.rows.every(({ entries }) => entries.length === 8)).toBe(true);
  expect(group!.notes).toEqual(["Asked for: the first 8 of 128 units and the first 8 of 784 inputs."]);
});
