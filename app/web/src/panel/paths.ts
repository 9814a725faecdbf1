/** What tells the paths of a chain-rule ledger apart. */

import { parse } from "../names";
import type { Path } from "../types";

/** "through hidden unit 1": the units in which a path differs from the others, nearest the parameter first. */
export function titleOf(path: Path, all: readonly Path[]): string {
  const differing = path.through.filter((name, i) => all.some(({ through }) => through[i] !== name));
  const places = differing.toReversed().map((name) => {
    const { layer, quantity, index } = parse(name);
    return { layer, quantity, unit: (index.at(-1) ?? 0) + 1 };
  });
  const said = places.map(({ layer, quantity, unit }) => {
    const own = places.filter((one) => one.layer === layer);
    return own.every((one) => one.unit === unit) ? `${layer} unit ${unit}` : `${layer} ${quantity} ${unit}`;
  });
  return `through ${[...new Set(said)].join(", ")}`;
}

/** Whether a ledger starts at the layer itself, as too many paths lead on from there. */
export function startsAtLayer(path: Path, lastLayer: string): boolean {
  const first = path.through[0];
  return first !== undefined && parse(first).layer !== lastLayer;
}
