import { describe, expect, it } from "vitest";
import { aligned, differences, kindOf } from "./aligned";
import type { Comparison, Curves } from "../types";

const curves = (epoch: number[], loss: (number | null)[]) => ({ epoch, loss, steps: epoch }) as unknown as Curves;

describe("two curves", () => {
  it("are over the epochs of both, and B begins at the fork", () => {
    const made = aligned(curves([1, 2, 3], [9, 8, 7]), curves([1, 2, 3, 4], [9, 8, 5, 4]), { child: "B", epoch: 2 });
    expect(made).toEqual({ x: [1, 2, 3, 4], a: [9, 8, 7, null], b: [null, 8, 5, 4] });
  });
  it("have what lies between two epochs on their line", () => {
    const made = aligned(curves([1, 2, 3, 4], [4, 3, 2, 1]), curves([1, 4], [8, 2]), null);
    expect(made.b).toEqual([8, 6, 4, 2]);
  });
  it("keep their gaps", () => {
    expect(aligned(curves([1, 2], [null, 3]), null, null)).toEqual({ x: [1, 2], a: [null, 3], b: [null, null] });
  });
});

const difference = (value: number | null, against: number | null, index: number[] | null = [0]) => ({ max_absolute: 0, max_relative: 0, index, value, against });
const comparison = (tensors: Comparison["tensors"]) => ({ tensors }) as Comparison;

describe("the largest differences", () => {
  it("are B − A, and relative to A", () => {
    const [row] = differences(comparison({ "hidden.weight": difference(0.5, 2, [0, 1]) }), "parameters");
    expect(row).toEqual({ tensor: "hidden.weight", of: "hidden.weight[0][1]", index: [0, 1], a: 2, b: 0.5, by: -1.5, relative: 0.75, share: -1 });
  });
  it("keep the order of computation and leave out the smaller", () => {
    const all = comparison({ "a.weight": difference(1, 0), "b.weight": difference(0.1, 0), "c.weight": difference(-4, 0), "c.z": difference(9, 0) });
    expect(differences(all, "parameters", 2).map(({ tensor, share }) => [tensor, share])).toEqual([["a.weight", 0.25], ["c.weight", -1]]);
  });
  it("know no share of nothing, and no difference from what is no number", () => {
    const rows = differences(comparison({ "a.weight": difference(1, 0), "b.weight": difference(null, 1) }), "parameters");
    expect(rows.map(({ by, relative }) => [by, relative])).toEqual([[1, null], [null, null]]);
  });
  it("are of parameters, gradients or activations", () => {
    expect(["hidden.weight", "hidden.bias.gradient", "output.dL_dz", "hidden.da_dz", "hidden.z", "loss"].map(kindOf)).toEqual(
      ["parameters", "gradients", "gradients", "gradients", "activations", "activations"],
    ); // prettier-ignore
    expect(kindOf("hidden.weight.state.exp_avg")).toBeNull();
  });
});
