import { expect, test } from "vitest";
import { entry, inWords, isNotComputed, parse, tensorName, valueOf } from "./names";
import type { Snapshot } from "./types";

test("a name is taken apart", () => {
  expect(parse("hidden.weight.gradient[0][1]")).toEqual({ layer: "hidden", quantity: "weight", of: "gradient", index: [0, 1] });
  expect(parse("hidden.weight.state.exp_avg[2]")).toEqual({ layer: "hidden", quantity: "weight", of: "state.exp_avg", index: [2] });
  expect(parse("loss")).toEqual({ layer: null, quantity: "loss", of: null, index: [] });
  expect(tensorName("output.dL_dz[0][0]")).toBe("output.dL_dz");
  expect(entry("inputs", 0, 1)).toBe("inputs[0][1]");
});

const SNAPSHOT = {
  loss: 0.25,
  inputs: [[0.5, null]],
  omitted: [],
  layers: [
    {
      name: "hidden",
      activation: "sigmoid",
      z: [[1, 2]],
      a: null,
      parameters: { weight: { value: [[0.1, 0.2], [0.3, 0.4]], gradient: null, state: { exp_avg: [[5, 6], [7, 8]] } } },
    },
  ],
  nonfinite: [{ name: "inputs", index: [3, 1], value: "NaN" }],
} as unknown as Snapshot; // prettier-ignore

test("a name's number is found in a snapshot, whose first sample may be a later one", () => {
  expect(valueOf(SNAPSHOT, "loss")).toBe(0.25);
  expect(valueOf(SNAPSHOT, "hidden.z[0][1]")).toBe(2);
  expect(valueOf(SNAPSHOT, "hidden.z[3][1]", 3)).toBe(2);
  expect(valueOf(SNAPSHOT, "hidden.weight[1][0]", 3)).toBe(0.3);
  expect(valueOf(SNAPSHOT, "hidden.weight.state.exp_avg[1][1]")).toBe(8);
});

test("what is not computed is null, what is not finite is named, what is not there is undefined", () => {
  expect(valueOf(SNAPSHOT, "hidden.a[0][0]")).toBe(undefined);
  expect(valueOf(SNAPSHOT, "inputs[3][1]", 3)).toBe("NaN");
  expect(valueOf(SNAPSHOT, "inputs[0][1]")).toBe(null);
  expect(valueOf(SNAPSHOT, "other.z[0][0]")).toBe(undefined);
});

test("what is still to be computed is told from what is not shown", () => {
  const shown = { ...SNAPSHOT, omitted: ["hidden.bias"], layers: [{ ...SNAPSHOT.layers[0]!, parameters: { ...SNAPSHOT.layers[0]!.parameters, bias: { value: null } } }] } as unknown as Snapshot; // prettier-ignore
  const found = ["hidden.a[0][0]", "hidden.weight.gradient[0][1]", "hidden.z[0][0]", "inputs[0][1]", "hidden.bias[0]", "hidden.dL_dz[0][0]", "hidden.weight.next[0][0]"];
  expect(found.filter((name) => isNotComputed(shown, name))).toEqual(["hidden.a[0][0]", "hidden.weight.gradient[0][1]"]);
});

test.each([
  ["hidden.weight.gradient[0][1]", "gradient of hidden weight 1, 2"],
  ["hidden.bias[0]", "hidden bias 1"],
  ["hidden.weight.next[0][1]", "next hidden weight 1, 2"],
  ["hidden.z[0][1]", "hidden unit 2, z"],
  ["inputs[0][1]", "input 2"],
  ["loss", "loss"],
])("%s is %s", (name, words) => {
  expect(inWords(name)).toBe(words);
});

test("of several samples the one is said", () => {
  expect(inWords("hidden.a[2][0]", 64)).toBe("hidden unit 1, activation a, sample 3");
});
