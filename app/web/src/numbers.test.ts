import { expect, test } from "vitest";
import { count, fitted, percent, plain, plural, written } from "./numbers";

test.each([
  [0, "0.00000"],
  [-0, "0.00000"],
  [0.4, "0.40000"],
  [0.274811083176155, "0.27481"],
  [-1.07438, "−1.07438"],
  [0.0000668, "6.68e−5"],
  [0.0001, "0.00010"],
  [9999.999, "9999.99900"],
  [12346.2, "1.2346e4"],
  [-2.5e-9, "−2.50e−9"],
  ["NaN", "NaN"],
  ["-Infinity", "−∞"],
  [null, "–"],
  [undefined, "–"],
] as const)("%s is written %s", (value, text) => {
  expect(written(value)).toBe(text);
});

test.each([
  [-1.2346e148, "−1.23e148"],
  [-1.2346e-148, "−1.2e−148"],
  [-1234.56789, "−1234.568"],
  [-3.88579, "−3.88579"],
  ["NaN", "NaN"],
] as const)("%s is written in nine characters: %s", (value, text) => {
  expect(fitted(value, 9)).toBe(text);
});

test("full precision keeps every digit", () => {
  expect(written(0.274811083176155, true)).toBe("0.274811083176155");
  expect(written(-1e-9, true)).toBe("−1e−9");
});

test("counts keep their thousands apart", () => {
  expect(count(101770)).toBe("101\u00a0770");
  expect(count(999)).toBe("999");
  expect(plural(1, "unit")).toBe("1 unit");
  expect(plural(1797, "sample")).toBe("1\u00a0797 samples");
});

test("settings are written as people write them", () => {
  expect(plain(0.5)).toBe("0.5");
  expect(plain(1e-8)).toBe("1e−8");
  expect(percent(0.85)).toBe("85.0%");
});
