/** Which part of a large table is on the screen: it never holds more than can be drawn at once. */

import type { LayerShape } from "../../state/shape";

/** So many units and so many inputs are shown at once. */
export const SIDE = 16;

export interface Window {
  from: number;
  /** The one after the last. */
  to: number;
  of: number;
}

/** The window that begins at a place, or as near to it as there is a whole one. */
export function windowAt(from: number, of: number, side = SIDE): Window {
  const start = Math.max(0, Math.min(Math.trunc(from) || 0, of - side));
  return { from: start, to: Math.min(of, start + side), of };
}

/** The window moved as little as it must be to show a place. */
export function showing(window: Window, place: number, side = SIDE): Window {
  if (place >= window.from && place < window.to) return window;
  return windowAt(place - (place % side), window.of, side);
}

const MOST_AT_FIRST = 900;

/** The layers whose tables are open at first: as many as are drawn without a wait, and one at least. */
export function openAtFirst(layers: Pick<LayerShape, "name" | "units" | "inputs">[]): Set<string> {
  const open = new Set<string>();
  let cells = 0;
  for (const { name, units, inputs } of layers) {
    cells += Math.min(units, SIDE) * (Math.min(inputs, SIDE) * 2 + 7);
    if (open.size && cells > MOST_AT_FIRST) break;
    open.add(name);
  }
  return open;
}
