/** How numbers are written: five decimals that keep their zeros, a true minus, never wider than they must be. */

export const MINUS = "−";

/** What JSON cannot say and `nonfinite` does. */
export type Value = number | "NaN" | "Infinity" | "-Infinity" | null | undefined;

/** `0.00067`, `6.68e−5`, `1.2346e4`, `–` for what is not computed yet; all 17 digits when `full`. */
export function written(value: Value, full = false): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value === "NaN" ? "NaN" : value === "Infinity" ? "∞" : `${MINUS}∞`;
  return withMinus(full ? String(value) : rounded(value));
}

/** The same in so many characters where that is possible: what is longer has fewer digits. */
export function fitted(value: Value, most: number): string {
  let text = written(value);
  for (let digits = 4; typeof value === "number" && text.length > most && digits >= 0; digits--) {
    text = withMinus(tidy(text.includes("e") ? value.toExponential(digits) : value.toFixed(digits)));
  }
  return text;
}

function rounded(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0.00000";
  if (size < 1e-4) return tidy(value.toExponential(2));
  if (size >= 10_000) return tidy(value.toExponential(4));
  return value.toFixed(5);
}

function tidy(text: string): string {
  return text.replace("e+", "e");
}

/** Every hyphen that is a minus as one. */
export function withMinus(text: string): string {
  return text.replaceAll("-", MINUS);
}

/** A count, its thousands apart by spaces at which no line breaks: `101 770`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u00a0");
}

/** A setting as a person would write it: `0.5`, `1e−8`. */
export function plain(value: number): string {
  return withMinus(String(Number(value.toPrecision(6)))).replace("e+", "e");
}

/** A share as a percentage: `85.0%`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** `1 unit`, `2 units`. */
export function plural(many: number, one: string, more = `${one}s`): string {
  return `${count(many)} ${many === 1 ? one : more}`;
}
