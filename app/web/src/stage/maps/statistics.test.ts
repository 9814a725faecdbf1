import { describe, expect, it } from "vitest";
import { difference, facts, histogram, largest, scaleOf, shares } from "./statistics";

describe("scaleOf", () => {
  it("leaves the largest half per cent aside", () => {
    const values = Array.from({ length: 1000 }, (_, i) => (i % 2 ? -1 : 1) * (i + 1));
    expect(scaleOf(values)).toBe(995);
  });
  it("does not see zeros, NaN and infinities", () => {
    expect(scaleOf([0, 0, 0, NaN, Infinity, -0.25])).toBe(0.25);
  });
  it("is 0 where there is nothing to scale", () => {
    expect(scaleOf([])).toBe(0);
    expect(scaleOf([0, NaN])).toBe(0);
  });
  it("takes a sample of very many", () => {
    const values = Float64Array.from({ length: 400_000 }, (_, i) => (i + 1) / 400_000);
    expect(scaleOf(values)).toBeCloseTo(0.995, 3);
  });
});

describe("histogram", () => {
  it("parts − from + in the middle, and leaves out zeros and what is beyond", () => {
    expect(histogram([-1, -0.9, -0.1, 0, 0, 0.1, 0.6, 1, 1.5, NaN], 1, 4)).toEqual([2, 1, 1, 2]);
  });
  it("is empty without a scale", () => {
    expect(histogram([0, 0], 0, 4)).toEqual([0, 0, 0, 0]);
  });
});

describe("facts", () => {
  it("are those of the finite entries", () => {
    expect(facts([3, -4, 0, 1, NaN, Infinity])).toEqual({ norm: Math.sqrt(26), std: Math.sqrt(26 / 4), zeros: 1, nonfinite: 2 });
  });
  it("hold where there are none", () => {
    expect(facts([NaN])).toEqual({ norm: 0, std: 0, zeros: 0, nonfinite: 1 });
  });
  it("keep a small spread beside a large mean", () => {
    expect(facts([1e8, 1e8 + 2]).std).toBeCloseTo(1, 6);
  });
});

describe("largest", () => {
  it("goes by size, the first of equals first", () => {
    expect(largest([1, -5, 0, 5, 3, -4], 3)).toEqual([1, 3, 5]);
  });
  it("names no zeros, NaN or infinities", () => {
    expect(largest([0, NaN, 0.5, -Infinity], 3)).toEqual([2]);
  });
});

describe("an update", () => {
  it("is what the next value adds", () => {
    expect([...difference([1.5, 0], [1, 2])]).toEqual([0.5, -2]);
  });
  it("has no share of a value that is zero", () => {
    expect([...shares([0.5, 1], [2, 0])]).toEqual([0.25, 0]);
  });
});
