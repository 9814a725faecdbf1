import { expect, test } from "vitest";
import { fits, round } from "./plane";

test("the picture goes round the points with a margin, as wide as it is high", () => {
  const [x, y] = round([[0, 0], [1, 3]], 2);
  expect(y![0]).toBeCloseTo(-0.45);
  expect(y![1]).toBeCloseTo(3.45);
  expect(x![1] - x![0]).toBeCloseTo(y![1] - y![0]);
  expect((x![0] + x![1]) / 2).toBeCloseTo(0.5);
  expect(round([[2], [4]], 1)).toEqual([[1.7, 4.3]]);
});

test("it is never empty", () => {
  expect(round([], 2)).toEqual([[-1, 1], [-1, 1]]); // prettier-ignore
  expect(round([[3], [3]], 1)).toEqual([[2.85, 3.15]]);
});

test("it stays while the points lie within it and do not get lost in it", () => {
  const sides = round([[0, 0], [10, 10]], 2);
  const still = (points: number[][]) => fits(sides, points, round(points, 2));
  expect(still([[0, 0], [5, 11]])).toBe(true);
  expect(still([[0, 0], [12, 5]])).toBe(false);
  expect(still([[5, 5], [5.5, 5]])).toBe(false);
  expect(fits(sides, [[1]], round([[1]], 1))).toBe(false);
});
