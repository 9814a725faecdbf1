import { expect, test } from "vitest";
import { typed, typedNumber } from "./typed";

test.each([
  ["0.0554", "0.0554"],
  ["0.05540", "0.05540"],
  ["−0.5", "-0.5"],
  ["–2", "-2"],
  [" .5 ", ".5"],
  ["5.", "5."],
  ["1e-3", "1e-3"],
  ["6.68e−5", "6.68e-5"],
  ["0,0554", "0.0554"],
  ["-,5", "-.5"],
  ["+1", "+1"],
])("%s is sent as %s", (text, sent) => expect(typed(text)).toBe(sent));

test.each(["", "  "])("nothing is a blank", (text) => expect(typed(text)).toBeNull());

test.each(["x", "1,234.5", "1,2,3", "--1", "1e", "1/2", ".", "NaN"])("%s is no number", (text) => expect(typed(text)).toBeUndefined());

test("a typed number as a number", () => {
  expect(typedNumber("−0,25")).toBe(-0.25);
  expect(typedNumber("")).toBeNull();
  expect(typedNumber("a")).toBeUndefined();
});
