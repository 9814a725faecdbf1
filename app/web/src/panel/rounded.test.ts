import { expect, test } from "vitest";
import { isShownRounded, valueIn } from "./rounded";

const element = (inner: string) =>
  new DOMParser().parseFromString(`<mrow xmlns="http://www.w3.org/1998/Math/MathML">${inner}</mrow>`, "text/xml").documentElement;
const value = (inner: string) => valueIn(element(inner), () => undefined);

test.each([
  ["<mn>2</mn><mo>+</mo><mrow><mn>3</mn><mo>×</mo><mn>4</mn></mrow>", 14],
  ["<mo>−</mo><mn>2</mn><mo>−</mo><mrow><mo>(</mo><mn>-1</mn><mo>)</mo></mrow>", -1],
  ["<mfrac><msup><mrow><mo>(</mo><mrow><mn>1</mn><mo>−</mo><mn>4</mn></mrow><mo>)</mo></mrow><mn>2</mn></msup><mn>2</mn></mfrac>", 4.5],
  ["<msqrt><mn>3</mn><mo>+</mo><mn>6</mn></msqrt>", 3],
])("%s is computed", (inner, expected) => expect(value(inner)).toBe(expected));

test("what has a function or an ellipsis in it is not computed", () => {
  expect(value("<mi>exp</mi><mo>⁡</mo><mn>1</mn>")).toBeUndefined();
  expect(value("<mn>1</mn><mo>+</mo><mo>…</mo><mo>+</mo><mn>2</mn>")).toBeUndefined();
});

test("a number with a power of ten is one number", () => {
  const tiny = '<mrow><mn data-of="a">2.9</mn><mo>×</mo><msup><mn>10</mn><mrow><mo>−</mo><mn>6</mn></mrow></msup></mrow>';
  const product = element(`${tiny}<mo>×</mo><mn>2</mn>`);
  expect(valueIn(product, (of) => (of === "a" ? 2.87e-6 : undefined))).toBeCloseTo(5.74e-6, 12);
  expect(valueIn(product, () => undefined)).toBeCloseTo(5.8e-6, 12);
});

test("a sum is shown rounded where its figures give another result", () => {
  const sum = element('<mn data-of="a">0.01337</mn><mo>+</mo><mn data-of="b">0.01500</mn>');
  const terms: Record<string, number> = { a: 0.013366, b: 0.014996 };
  expect(isShownRounded(sum, 0.028362, (of) => terms[of])).toBe(true);
  expect(isShownRounded(sum, 0.02837, (of) => terms[of])).toBe(false);
});
