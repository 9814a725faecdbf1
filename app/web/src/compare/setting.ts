/** How a setting is written where two configs are compared. */

import { plain } from "../numbers";

const LONGEST = 40;

/** A setting's value, in a few letters. */
export function setting(value: unknown): string {
  if (typeof value === "number") return plain(value);
  if (value === undefined) return "–";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
