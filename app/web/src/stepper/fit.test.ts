import { describe, expect, it } from "vitest";
import type { Station } from "../state/next";
import { fitted, folded } from "./fit";

const stations = (many: number, next = -1): Station[] =>
  Array.from({ length: many }, (_, i) => ({
    operation: "forward", layer: `layer${i + 1}`, label: `layer${i + 1}`, status: i < next ? (i === next - 1 ? "last" : "done") : i === next ? "next" : "todo",
  })); // prettier-ignore

const names = (shown: (Station | number)[]) => shown.map((one) => (typeof one === "number" ? `+${one}` : one.layer!.slice(5)));

describe("folding", () => {
  it("leaves six as they are", () => {
    expect(folded(stations(6))).toHaveLength(6);
  });

  it("keeps the ends, and where the step is", () => {
    expect(names(folded(stations(8)))).toEqual(["1", "2", "+4", "7", "8"]);
    expect(names(folded(stations(10, 5)))).toEqual(["1", "2", "+2", "5", "6", "+2", "9", "10"]);
  });

  it("folds no single station", () => {
    expect(names(folded(stations(7, 3)))).toEqual(["1", "2", "3", "4", "5", "6", "7"]);
  });

  it("counts every station once", () => {
    for (const next of [-1, 0, 4, 8]) {
      const shown = folded(stations(9, next), 3);
      expect(shown.reduce<number>((sum, one) => sum + (typeof one === "number" ? one : 1), 0)).toBe(9);
    }
  });
});

describe("fitting", () => {
  const parts = [stations(3), stations(3), stations(1)];

  it("drops room, then names, as the width shrinks", () => {
    expect([1000, 500, 300].map((width) => fitted(parts, width).look)).toEqual(["roomy", "names", "dots"]);
  });

  it("folds more before it drops names", () => {
    const { parts: shown, look } = fitted([stations(6), stations(6), stations(1)], 560);
    expect([look, names(shown[0]!)]).toEqual(["names", ["1", "+4", "6"]]);
  });
});
