/** The past as a row of stops: each revision is one, and each epoch inside a training. */

import type { Place } from "../state/actions";
import type { Revision } from "../types";

export type Kind = "start" | "forward" | "backward" | "update" | "edit" | "block";

/** A mark on the strip: one revision. A training's is a block, with a stop for each epoch. */
export interface Mark {
  revision: number;
  kind: Kind;
  /** Under it, in a word or two. */
  label: string;
  /** In full: "backward through hidden". */
  says: string;
  /** Its first stop, and how many it has. */
  stop: number;
  stops: number;
  /** The epochs of a block, the first and the last. */
  from: number;
  to: number;
}

const KINDS: Record<string, Kind> = {
  create: "start", fork: "start", import: "start", forward: "forward", backward: "backward", step: "update", train: "block",
}; // prettier-ignore

/** The marks of a history, in order. `layers` are the network's, first to last. */
export function marksOf(history: Revision[], layers: string[]): Mark[] {
  const marks: Mark[] = [];
  let stop = 0;
  history.forEach((one, i) => {
    if (isVisit(one) && (i === history.length - 1 || isVisit(history[i + 1]!))) return;
    const from = one.epoch_from ?? 0;
    const to = one.epoch_to ?? 0;
    const kind = one.revision === 0 ? "start" : (KINDS[one.operation] ?? "edit");
    const stops = kind === "block" ? Math.max(1, to - from + 1) : 1;
    marks.push({ revision: one.revision, kind, ...named(one, kind, layers), stop, stops, from, to });
    stop += stops;
  });
  return marks;
}

/** Standing at an epoch inside a training is a revision too, but shown in the training's block until something follows it. */
function isVisit({ operation, arguments: given }: Revision): boolean {
  return operation === "rewind" && typeof given.epoch === "number";
}

function named(one: Revision, kind: Kind, layers: string[]): { label: string; says: string } {
  const until = one.arguments.until as string | undefined;
  if (kind === "start") return { label: one.operation === "fork" ? "fork" : "start", says: "the start" };
  if (kind === "forward") {
    const layer = until ?? layers.at(-1)!;
    return { label: layer, says: `forward through ${layer}` };
  }
  if (kind === "backward") {
    const layer = until ?? layers[0]!;
    return { label: layer, says: `backward through ${layer}` };
  }
  if (kind === "update") return { label: `step ${one.steps}`, says: `update, step ${one.steps}` };
  if (kind === "block") {
    const { epoch_from: from = 0, epoch_to: to = 0 } = one;
    return { label: from < to ? `epochs ${from}–${to}` : `epoch ${to}`, says: `trained to epoch ${to}` };
  }
  if (isVisit(one)) return { label: `epoch ${one.epochs}`, says: one.label };
  const label = one.operation === "edit" ? "edit" : one.operation === "data" ? "rows" : (one.label.split(" ").at(-1) ?? one.operation);
  return { label, says: one.label };
}

export const stopsOf = (marks: Mark[]): number => marks.reduce((sum, { stops }) => sum + stops, 0);

export function markAt(marks: Mark[], stop: number): Mark | undefined {
  return marks.findLast((one) => one.stop <= stop);
}

/** What stands at a stop: a revision, or an epoch on the way to one. */
export function placeAt(marks: Mark[], stop: number): Place {
  const mark = markAt(marks, stop);
  if (!mark) return {};
  const within = stop - mark.stop;
  if (within >= mark.stops - 1) return { revision: mark.revision };
  return { revision: mark.revision, epoch: mark.from + within };
}

/** The stop of a place. A revision that only stands at an epoch is found in the block that it stands in. */
export function stopOf(marks: Mark[], history: Revision[], { revision = 0, epoch }: Place): number {
  const own = marks.findLast((one) => one.revision === revision);
  if (own && epoch === undefined) return own.stop + own.stops - 1;
  const visit = history.find((one) => one.revision === revision);
  const at = epoch ?? (visit && isVisit(visit) ? visit.epochs : undefined);
  const within = (one: Mark) => one.revision <= revision && at !== undefined && one.kind === "block" && one.from <= at && at <= one.to;
  const block = own && within(own) ? own : marks.findLast(within);
  if (block) return block.stop + (at! - block.from);
  const before = marks.findLast((one) => one.revision <= revision) ?? marks[0];
  return before ? before.stop + before.stops - 1 : 0;
}
