import { expect, it } from "vitest";
import { paint, scaleOf, valuesOf } from "./tiles";

it("scales by the activation's range, or by the largest value", () => {
  expect(scaleOf("sigmoid", [])(0.5)).toBe(0);
  expect(scaleOf("tanh", [])(-1)).toBe(-1);
  expect(scaleOf("relu", [0, 4, null])(2)).toBe(0.5);
  expect(scaleOf("relu", [0, 0])(0)).toBe(0);
});

it("paints the lowest row last, and what is no number as zero", () => {
  const table = Uint8ClampedArray.from({ length: 768 }, (_, k) => Math.floor(k / 3));
  const into = new Uint8ClampedArray(16);
  paint(into, [-1, 1, 0, null], 2, (value) => value, table);
  expect([into[0], into[4], into[8], into[12]]).toEqual([128, 128, 0, 255]);
  expect(into[3]).toBe(255);
});

it("takes a unit's values out of the answers", () => {
  const probe = { outputs: [], layers: [{ name: "hidden", a: [[1, 2], [3, null]] }] }; // prettier-ignore
  expect(valuesOf(probe, 0, 1)).toEqual([2, null]);
  expect(valuesOf(probe, 1, 0)).toBeNull();
});
