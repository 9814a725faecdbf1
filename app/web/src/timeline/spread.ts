/** Where each mark stands on the strip, so that neither marks nor labels run into each other. */

import { scaleLinear } from "d3-scale";
import { count } from "../numbers";
import type { Mark } from "./stops";

/** A mark with its place: its middle, or a block's left edge and width. */
export interface Spread extends Mark {
  x: number;
  width: number;
}

export interface Strip {
  marks: Spread[];
  /** How many marks are folded away on the left, and on the right. */
  before: number;
  after: number;
}

const PITCH = 92;
const TIGHT = 16;
const BLOCK = 72;
export const EDGE = 14;
const FOLD = 46;

/** Spread marks over a width. Where they do not all fit, those around the stop in focus are shown. */
export function spread(marks: Mark[], width: number, focus: number): Strip {
  const least = (one: Mark) => (one.kind === "block" ? BLOCK : TIGHT);
  const room = Math.max(BLOCK, width - 2 * EDGE);
  const total = marks.reduce((sum, one) => sum + least(one), 0);
  if (total <= room) return { marks: placed(marks, width, EDGE), before: 0, after: 0 };

  // From the mark in focus to both sides, as many as fit; what is later has a third of the room.
  const center = Math.max(0, marks.findLastIndex(({ stop }) => stop <= focus));
  let left = center;
  let right = center;
  let used = least(marks[center]!);
  const folds = room - 2 * FOLD;
  let later = 0;
  while (right + 1 < marks.length && later + least(marks[right + 1]!) <= folds / 3) {
    right++;
    later += least(marks[right]!);
  }
  used += later;
  while (left > 0 && used + least(marks[left - 1]!) <= folds) used += least(marks[--left]!);
  while (right + 1 < marks.length && used + least(marks[right + 1]!) <= folds) used += least(marks[++right]!);
  const after = marks.length - 1 - right;
  return { marks: placed(marks.slice(left, right + 1), width - (after ? FOLD : 0), EDGE + (left ? FOLD : 0)), before: left, after };
}

function placed(marks: Mark[], width: number, start: number): Spread[] {
  const points = marks.filter(({ kind }) => kind !== "block").length;
  const blocks = marks.length - points;
  const epochs = marks.reduce((sum, one) => sum + (one.kind === "block" ? one.stops : 0), 0);
  const room = width - start - EDGE;
  const pitch = Math.min(PITCH, (room - blocks * BLOCK) / Math.max(1, points), blocks ? Math.max(TIGHT, (0.6 * room) / Math.max(1, points)) : Infinity);
  const spare = Math.max(0, room - points * pitch - blocks * BLOCK);
  let x = start;
  return marks.map((one) => {
    // A block's width says how long it is, beside the others; a short training alone does not fill the strip.
    const extra = one.kind === "block" ? Math.min(spare * (one.stops / epochs), 4 * one.stops) : 0;
    const width = one.kind === "block" ? BLOCK - EDGE + extra : 0;
    const placed = { ...one, x, width };
    x += one.kind === "block" ? width + EDGE : pitch;
    return placed;
  });
}

/** The place of a stop; a block's stops lie along it, the last one at its right edge. */
export function xOf(marks: Spread[], stop: number): number {
  const mark = marks.findLast((one) => one.stop <= stop) ?? marks[0];
  if (!mark) return EDGE;
  return mark.x + (mark.width * (Math.min(stop - mark.stop, mark.stops - 1) + 1)) / (mark.kind === "block" ? mark.stops : 1);
}

/** The stop nearest to a place. */
export function stopAt(marks: Spread[], x: number): number {
  let best = 0;
  let distance = Infinity;
  for (const mark of marks) {
    const inside = mark.width ? Math.round(((x - mark.x) / mark.width) * mark.stops) - 1 : 0;
    const stop = mark.stop + Math.min(mark.stops - 1, Math.max(0, inside));
    const away = Math.abs(x - xOf(marks, stop));
    if (away < distance) [best, distance] = [stop, away];
  }
  return best;
}

/** A word under the strip. */
export interface Label {
  x: number;
  text: string;
  bold?: boolean;
}

/** The labels that there is room for: the first ones win. */
export function fitting(labels: Label[], width: number): Label[] {
  const taken: [number, number][] = [];
  return labels.flatMap((label) => {
    const half = (label.text.length * (label.bold ? 6.4 : 6)) / 2;
    const x = Math.max(half, Math.min(width - half, label.x));
    if (taken.some(([from, to]) => x - half < to && from < x + half)) return [];
    taken.push([x - half - 8, x + half + 8]);
    return [{ ...label, x }];
  });
}

/** The epochs under a training that is under way. */
export function axis({ x, width, from, to }: Spread): Label[] {
  const place = scaleLinear()
    .domain([from - 1, to])
    .range([x, x + width]);
  return place.ticks(Math.min(4, to - from + 1)).map((epoch) => ({ x: place(epoch), text: count(epoch) }));
}
