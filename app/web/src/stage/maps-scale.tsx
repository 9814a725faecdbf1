/** The colour scale of a heat map. */

import type { VNode } from "preact";
import { MINUS, plain } from "../numbers";
import { Canvas } from "./maps/canvas";
import type { Grid } from "./maps/picture";

const STEPS = 180;
const RAMP: Grid = { rows: 1, columns: STEPS, values: Array.from({ length: STEPS }, (_, i) => (2 * i) / (STEPS - 1) - 1) };

export function ScaleBar({ limit }: { limit: number }): VNode {
  if (limit === 0) return <p class="maps-scale small">All of them are 0.</p>;
  return (
    <p class="maps-scale small">
      <span>{MINUS + brief(limit)}</span>
      <Canvas grid={RAMP} limit={1} width={STEPS} height={10} />
      <span>+{brief(limit)}</span>
      <span>99.5% of entries that are not 0<span class="maps-keys"> · arrow keys move, Enter explains</span></span>
    </p>
  );
}

/** A number in few digits, for axes. */
export const brief = (value: number): string => plain(Number(value.toPrecision(2)));
