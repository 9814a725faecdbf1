/** A revision's mark: its shape says what was done. */

import type { VNode } from "preact";
import type { Kind } from "./stops";
import type { Spread } from "./spread";

/** How far down the strip its line is. */
export const BASE = 46;

export const SHAPES: Record<Exclude<Kind, "block">, string> = {
  start: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
  forward: "M-4-5v10l9-5z",
  backward: "M4-5v10l-9-5z",
  update: "M-4.5-4.5h9v9h-9z",
  edit: "M0-6l6 6l-6 6l-6-6z",
};

/** Filled; hollow where it comes after what is shown. The start is a ring always. */
export function Glyph({ mark, later }: { mark: Spread; later: boolean }): VNode {
  const kind = mark.kind as Exclude<Kind, "block">;
  return <path class={`time-glyph${kind === "start" ? " ring" : ""}${later ? " later" : ""}`} transform={`translate(${mark.x} ${BASE})`} d={SHAPES[kind]} />;
}
