import { expect, test } from "vitest";
import { apart, epochRange, roundUp, ticks, tickText, valueRange, zoomedBy } from "./axes";

test("the epochs' axis ends at the last epoch, and while more come at a round number", () => {
  expect(epochRange([1, 2, 412])).toEqual([0, 412]);
  expect(epochRange([1, 2, 412], 1000)).toEqual([0, 500]);
  expect(epochRange([1, 2, 412], 450)).toEqual([0, 450]);
  expect(epochRange([])).toEqual([0, 1]);
  expect([1, 11, 16, 97, 101, 1000].map(roundUp)).toEqual([1, 15, 20, 100, 150, 1000]);
});

test("values get room from round number to round number, which a growing curve seldom moves", () => {
  expect(valueRange([[0.107, 0.67]], true)).toEqual([0.1, 0.7]);
  expect(valueRange([[0.11, 0.61]], true)).toEqual([0.1, 0.7]);
  expect(valueRange([[0.107], [0.67, null]], false)).toEqual([0, 0.8]);
  expect(valueRange([[0.5, 1]], false, [0, 1])[1]).toBe(1);
});

test("a logarithmic axis leaves out what it cannot show", () => {
  expect(valueRange([[0, -1, 0.2, NaN, Infinity, 0.4]], true)).toEqual([0.2, 0.5]);
  expect(valueRange([[0, null]], true)).toEqual([0.1, 1]);
  expect(valueRange([[1, 1.7e308]], true)[1]).toBeLessThan(Infinity);
});

test("a range is never empty", () => {
  for (const log of [true, false]) {
    for (const value of [0.3, 1, 1e-9, 25, ...(log ? [] : [0, -2])]) {
      const [low, high] = valueRange([[value]], log);
      expect(low).toBeLessThan(high);
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
    }
  }
});

test("an axis has two lines or more, and no more than fit", () => {
  expect(ticks([0.1, 1], true)).toEqual([0.1, 0.2, 0.5, 1]);
  expect(ticks([0.02, 3], true, 3)).toEqual([0.1, 1]);
  expect(ticks([1e-4, 0.5], true)).toEqual([1e-4, 1e-3, 0.01, 0.1]);
  expect(ticks([0, 1], false)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  for (const range of [[0.5, 0.7], [0.02, 0.5], [1e-300, 1e300], [0.3, 1.7e308], [3, 5000]] as const) {
    const found = ticks([...range], true, 4);
    expect(found.length).toBeGreaterThan(1);
    expect(found.length).toBeLessThan(6);
    expect(found.every((value) => value >= range[0] && value <= range[1])).toBe(true);
  }
});

test("ticks are written in few signs", () => {
  expect([0.05, 1, 1e-4, 2e5, -0.5, 0].map(tickText)).toEqual(["0.05", "1", "1e−4", "2e5", "−0.5", "0"]);
});

test("labels stand clear of each other within their room, in the order of their lines", () => {
  expect(apart([50, 52], 14, [0, 100])).toEqual([50, 64]);
  expect(apart([95, 99], 14, [0, 100])).toEqual([86, 100]);
  expect(apart([80, 20], 14, [0, 100])).toEqual([80, 20]);
});

test("zooming halves the epochs round a place, within all of them, and out again to all", () => {
  expect(zoomedBy(0.5, [0, 100], 60, [0, 100])).toEqual([35, 85]);
  expect(zoomedBy(0.5, [0, 100], 99, [0, 100])).toEqual([50, 100]);
  expect(zoomedBy(2, [40, 60], 50, [0, 100])).toEqual([30, 70]);
  expect(zoomedBy(2, [20, 80], 50, [0, 100])).toBeNull();
  expect(zoomedBy(0.5, [4, 6], 5, [0, 100])).toEqual([4, 6]);
});
