import { describe, expect, it } from "vitest";
import { openAtFirst, showing, windowAt } from "./window";

describe("windowAt", () => {
  it("shows a small side whole", () => {
    expect(windowAt(0, 2)).toEqual({ from: 0, to: 2, of: 2 });
    expect(windowAt(16, 10)).toEqual({ from: 0, to: 10, of: 10 });
  });
  it("stays inside a large one", () => {
    expect(windowAt(780, 784)).toEqual({ from: 768, to: 784, of: 784 });
    expect(windowAt(-16, 784)).toEqual({ from: 0, to: 16, of: 784 });
    expect(windowAt(NaN, 784)).toEqual({ from: 0, to: 16, of: 784 });
  });
});

describe("showing", () => {
  it("stays where the place is in it already", () => {
    const window = windowAt(10, 784);
    expect(showing(window, 25)).toBe(window);
  });
  it("goes where the place is", () => {
    expect(showing(windowAt(0, 784), 294)).toEqual({ from: 288, to: 304, of: 784 });
  });
});

describe("openAtFirst", () => {
  const layers = (many: number, units: number) => Array.from({ length: many }, (_, i) => ({ name: `l${i}`, units, inputs: units }));
  it("is all of a small network", () => {
    expect([...openAtFirst(layers(3, 2))]).toEqual(["l0", "l1", "l2"]);
  });
  it("is the first of a large one, at least", () => {
    expect([...openAtFirst(layers(20, 16))]).toEqual(["l0"]);
    expect([...openAtFirst(layers(4, 1000))]).toEqual(["l0"]);
  });
});
