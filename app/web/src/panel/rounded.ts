/** Whether a formula's numbers, as they are shown, give its result as it is shown. */

import { written } from "../numbers";
import { numberIn } from "../parts/math";

/** What an expression in MathML comes to; undefined where it has more in it than sums, products, quotients, powers and roots. */
export function valueIn(element: Element, shownValue: (of: string) => number | undefined): number | undefined {
  const of = numberIn(element);
  const known = of === null ? undefined : shownValue(of);
  if (known !== undefined) return known;
  const parts = [...element.children];
  const inner = (i: number) => valueIn(parts[i]!, shownValue);
  switch (element.localName) {
    case "mn":
      return Number(element.textContent.replaceAll("−", "-"));
    case "mfrac":
      return both(inner(0), inner(1), (a, b) => a / b);
    case "msup":
      return both(inner(0), inner(1), (a, b) => a ** b);
    case "msqrt":
      return root(inRow(parts, shownValue));
    case "mrow":
      return inRow(parts, shownValue);
    default:
      return undefined;
  }
}

const root = (value: number | undefined) => (value === undefined ? undefined : Math.sqrt(value));
const both = (a: number | undefined, b: number | undefined, of: (a: number, b: number) => number) =>
  a === undefined || b === undefined ? undefined : of(a, b);

const DO: Record<string, (a: number, b: number) => number> = {
  "+": (a, b) => a + b, "−": (a, b) => a - b, "-": (a, b) => a - b, "×": (a, b) => a * b, "⁢": (a, b) => a * b, "/": (a, b) => a / b,
}; // prettier-ignore

/** A row is a sum or a product: the API nests what binds closer in a row of its own. */
function inRow(parts: Element[], shownValue: (of: string) => number | undefined): number | undefined {
  const fenced = parts.length > 2 && parts[0]!.textContent === "(" && parts.at(-1)!.textContent === ")";
  const row = fenced ? parts.slice(1, -1) : parts;
  let total: number | undefined;
  let sign = "+";
  for (const part of row) {
    if (part.localName === "mo") {
      sign = part.textContent;
      if (!(sign in DO)) return undefined;
      continue;
    }
    const value = valueIn(part, shownValue);
    if (value === undefined) return undefined;
    total = DO[sign]!(total ?? 0, value);
  }
  return total;
}

/** True where a reader who computes with the figures shown would get another figure than the one shown. */
export function isShownRounded(right: Element, result: number, termOf: (of: string) => number | undefined): boolean {
  const asShown = (of: string) => {
    const term = termOf(of);
    return term === undefined ? undefined : Number(written(term).replaceAll("−", "-"));
  };
  const found = valueIn(right, asShown);
  return found !== undefined && written(found) !== written(result);
}
