/** What to send so that an optimizer becomes another: a JSON merge patch (RFC 7396), in which null takes an option away. */

import { typeOf } from "../../state/shape";
import type { Spec } from "../../types";

type Values = Record<string, unknown>;
const isObject = (value: unknown): value is Values => typeof value === "object" && value !== null && !Array.isArray(value);

/** The patch from one spec to another. One of another type starts from that type's defaults, and is sent whole. */
export function patchOf(before: Spec, after: Spec): Spec {
  if (!isObject(before) || !isObject(after) || typeOf(before) !== typeOf(after)) return after;
  return patch(before, after);
}

function patch(before: Values, after: Values): Values {
  const found: Values = {};
  for (const key of Object.keys(before)) if (!(key in after) && before[key] !== null) found[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    const isSameKind = isObject(value) && isObject(old) && value.type === old.type;
    found[key] = isSameKind ? patch(old, value) : value;
  }
  return found;
}

/** One number of a preview: what a step would make of it. */
export interface Change {
  name: string;
  before: number;
  after: number;
  update: number;
}

/** The largest changes of a preview, entry by entry. */
export function largest(parameters: Record<string, { before: unknown; after: unknown; update: unknown }>, most: number): Change[] {
  const all = Object.entries(parameters).flatMap(([name, { before, after, update }]) => entries(name, before, after, update));
  return all.sort((a, b) => Math.abs(b.update) - Math.abs(a.update)).slice(0, most);
}

function entries(name: string, before: unknown, after: unknown, update: unknown): Change[] {
  if (Array.isArray(update)) {
    return update.flatMap((inner, i) => entries(`${name}[${i}]`, (before as unknown[])[i], (after as unknown[])[i], inner));
  }
  return typeof update === "number" ? [{ name, before: before as number, after: after as number, update }] : [];
}
