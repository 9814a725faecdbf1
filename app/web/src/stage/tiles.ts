/** A unit's activation over the plane of the inputs as pixels, or along the one input as a curve. */

import type { Probe } from "../types";

/** What an activation is drawn as, from −1 to 1: by its range where it has one, by the largest of the values otherwise. */
export function scaleOf(activation: string, values: readonly (number | null)[]): (value: number) => number {
  if (activation === "sigmoid" || activation === "softmax") return (value) => 2 * value - 1;
  if (activation === "tanh") return (value) => value;
  const most = values.reduce<number>((so, value) => Math.max(so, Math.abs(value ?? 0)), 0);
  return (value) => (most ? value / most : 0);
}

/** The values of a unit over what was asked; null where the answers have none. */
export function valuesOf(probe: Probe, layer: number, unit: number): (number | null)[] | null {
  return probe.layers?.[layer]?.a.map((row) => row[unit] ?? null) ?? null;
}

/** Paint values, row by row from the lowest, into an image whose first row is the highest; `table` has 256 colours. */
export function paint(into: Uint8ClampedArray, values: readonly (number | null)[], side: number, scale: (value: number) => number, table: Uint8ClampedArray): void {
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const value = values[(side - 1 - row) * side + column];
      const share = value === null || value === undefined ? 0 : Math.max(-1, Math.min(1, scale(value)));
      const step = 3 * Math.round(127.5 * (share + 1));
      const pixel = 4 * (row * side + column);
      into[pixel] = table[step]!;
      into[pixel + 1] = table[step + 1]!;
      into[pixel + 2] = table[step + 2]!;
      into[pixel + 3] = 255;
    }
  }
}
