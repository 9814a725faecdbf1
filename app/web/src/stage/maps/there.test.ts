import { describe, expect, it } from "vitest";
import { shapeOf } from "../../state/shape";
import type { Snapshot } from "../../types";
import { entriesIn, isThere, slotsOf } from "./there";

const layer = (name: string, more: object = {}) => ({ name, activation: "relu", z: null, a: null, da_dz: null, ...more });
const now = (phase: string, layers: object[], norms: (number | null)[] = []) =>
  ({
    phase, inputs: null, layers,
    health: { gradient_norm: null, layers: norms.map((gradient_norm, i) => ({ name: (layers[i] as { name: string }).name, gradient_norm })), warnings: [] },
  }) as unknown as Snapshot; // prettier-ignore

describe("isThere", () => {
  it("is true of parameters and slots always", () => {
    const start = now("ready", [layer("hidden")]);
    expect(isThere(start, "hidden.weight")).toBe(true);
    expect(isThere(start, "hidden.weight.state.exp_avg")).toBe(true);
    expect(isThere(start, "inputs")).toBe(false);
    expect(isThere(start, "other.weight")).toBe(false);
  });
  it("waits for a momentum until there is one", () => {
    const name = "hidden.weight.state.momentum_buffer";
    expect(isThere({ ...now("ready", [layer("hidden")]), steps: 0 }, name)).toBe(false);
    expect(isThere({ ...now("ready", [layer("hidden")]), steps: 1 }, name)).toBe(true);
    const edited = layer("hidden", { parameters: { weight: { value: [[1]], gradient: null, state: { momentum_buffer: null } } } });
    expect(isThere({ ...now("ready", [edited]), steps: 1 }, name)).toBe(false);
  });
  it("follows the forward pass", () => {
    const half = now("forward", [layer("hidden", { z: [[1]], a: [[1]] }), layer("output")]);
    expect(["hidden.a", "output.a", "hidden.dL_dz", "hidden.weight.gradient"].map((name) => isThere(half, name))).toEqual([true, false, false, false]);
  });
  it("follows the backward pass, by the derivatives or by the norm", () => {
    const half = now("backward", [layer("hidden"), layer("output", { da_dz: [[1]] })]);
    expect(isThere(half, "output.weight.gradient")).toBe(true);
    expect(isThere(half, "output.weight.next")).toBe(true);
    expect(isThere(half, "hidden.dL_dz[0]")).toBe(false);
    const softmax = now("backward", [layer("output")], [0.5]);
    expect(isThere(softmax, "output.dL_dz")).toBe(true);
  });
  it("knows that after the update gradients stay, and no update is to come", () => {
    const after = now("ready", [layer("output", { da_dz: [[1]] })], [0.5]);
    expect(isThere(after, "output.weight.gradient")).toBe(true);
    expect(isThere(after, "output.weight.next")).toBe(false);
  });
});

describe("entriesIn", () => {
  const shape = shapeOf({ network: { inputs: 784, layers: [{ name: "hidden", units: 128 }] }, loss: "mse", optimizer: "sgd" });
  it("counts without reading", () => {
    expect(entriesIn(shape, 64, "hidden.weight.gradient")).toBe(100_352);
    expect(entriesIn(shape, 64, "hidden.bias")).toBe(128);
    expect(entriesIn(shape, 64, "hidden.a")).toBe(8192);
    expect(entriesIn(shape, 64, "hidden.a[3]")).toBe(128);
    expect(entriesIn(shape, 64, "inputs")).toBe(50_176);
  });
});

describe("slotsOf", () => {
  it("are PyTorch's", () => {
    expect(slotsOf("sgd")).toEqual([]);
    expect(slotsOf({ type: "sgd", momentum: 0.9 })).toEqual(["momentum_buffer"]);
    expect(slotsOf({ type: "adam", amsgrad: true })).toEqual(["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]);
    expect(slotsOf({ type: "rmsprop", centered: true })).toEqual(["square_avg", "grad_avg"]);
    expect(slotsOf("adagrad")).toEqual(["sum"]);
  });
});
