/** How much of the rail fits: all stations, or those at the ends and around what is next; with their names, or as dots. */

import type { Station } from "../state/next";

/** A station, or how many are folded in its place. */
export type Shown = Station | number;

export interface Fitted {
  parts: Shown[][];
  look: "roomy" | "names" | "dots";
}

/** How wide things are, in pixels. */
interface Sizes {
  station: (label: string) => number;
  part: number;
}

const BAR: Sizes = { station: (label) => Math.max(52, 6.6 * label.length + 12), part: 26 };
const ROOMY: Sizes = { station: (label) => Math.max(72, 6.6 * label.length + 12), part: 44 };
const PHONE: Sizes = { station: () => 62, part: 0 };
const DOTS: Sizes = { station: () => 36, part: 26 };
const FOLD = 48;

const MOST = 6;
const FEW = 3;

/** Of one part of the rail, at most so many stations: those at its ends, and those where the step under way is. */
export function folded(all: Station[], most = MOST): Shown[] {
  if (all.length <= most) return all;
  const ends = most > FEW ? 2 : 1;
  const busy = all.findIndex(({ status }) => status === "last" || status === "next");
  const shown: Shown[] = [];
  let hidden: Station[] = [];
  const fold = () => {
    // One alone takes no more room than its fold.
    if (hidden.length === 1) shown.push(...hidden);
    else if (hidden.length) shown.push(hidden.length);
    hidden = [];
  };
  all.forEach((one, i) => {
    const kept = i < ends || i >= all.length - ends || (busy >= 0 && (i === busy || i === busy + 1));
    if (!kept) return hidden.push(one);
    fold();
    return shown.push(one);
  });
  return shown;
}

/** The parts of the rail, as they fit into a width: with names if at all possible. */
export function fitted(parts: Station[][], width: number, phone = false): Fitted {
  const most = parts.map((part) => folded(part));
  const few = parts.map((part) => folded(part, FEW));
  const tries: [Shown[][], Fitted["look"], Sizes][] = phone
    ? [[most, "names", PHONE], [most, "dots", DOTS]]
    : [[most, "roomy", ROOMY], [most, "names", BAR], [few, "names", BAR], [most, "dots", DOTS]]; // prettier-ignore
  const found = tries.find(([shown, , sizes]) => needed(shown, sizes) <= width);
  return found ? { parts: found[0], look: found[1] } : { parts: few, look: "dots" };
}

function needed(parts: Shown[][], { station, part }: Sizes): number {
  const widths = parts.flat().map((one) => (typeof one === "number" ? FOLD : station(one.label)));
  return widths.reduce((sum, one) => sum + one, part * parts.length);
}
