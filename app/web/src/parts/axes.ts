/** What a chart's axes show. They widen in steps, so that a curve that grows does not move them with each epoch. */

import { scaleLinear } from "d3-scale";
import { plain } from "../numbers";

export type Range = [low: number, high: number];
type Values = readonly (number | null)[];

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** The next round number at or above one: 412 gives 500. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  return Math.round(STEPS.find((step) => step * power >= value * (1 - 1e-9))! * power * 1e6) / 1e6;
}

/** The epochs to show: while more come, up to a round number that is not beyond their end. */
export function epochRange(x: readonly number[], end: number | null = null): Range {
  const last = x.at(-1) ?? 0;
  return [0, Math.max(1, end === null ? last : Math.max(last, Math.min(end, roundUp(last))))];
}

/** The values to show, from round number to round number. On a logarithmic axis only those above 0 can be shown. */
export function valueRange(columns: readonly Values[], log: boolean, limits: Range = [-Infinity, Infinity]): Range {
  let [low, high] = [Infinity, -Infinity];
  for (const column of columns) {
    for (const value of column) {
      if (value === null || !Number.isFinite(value) || (log && value <= 0)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) return [roundLog(low, Math.floor), roundLog(high, Math.ceil, low)];
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const [from, to] = scaleLinear([low, high], [0, 1]).nice(4).domain() as Range;
  return [Math.max(from, limits[0]), Math.min(to, limits[1])];
}

/** Out to 1, 1.5, 2, 3, 5 or 7 times a power of ten; beyond `apart`, so that the range is never empty. */
function roundLog(value: number, out: (value: number) => number, apart = 0): number {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  const mantissas = [1, 1.5, 2, 3, 5, 7, 10].map((step) => Number((step * power).toPrecision(2))).filter(Number.isFinite);
  if (out === Math.floor) return mantissas.findLast((one) => one <= value * (1 + 1e-9))!;
  return mantissas.find((one) => one >= value * (1 - 1e-9) && one > apart * (1 + 1e-9)) ?? mantissas.at(-1)!;
}

/** Where an axis of values has its lines: two or more, at most `most` where that can be. */
export function ticks([low, high]: Range, log: boolean, most = 5): number[] {
  if (!log) return scaleLinear([low, high], [0, 1]).ticks(most);
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const within = (value: number) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9);
  const at = (mantissas: number[], every: number) => {
    const powers = Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => last - every * i);
    return powers.reverse().flatMap((power) => mantissas.map((mantissa) => Number(`${mantissa}e${power}`))).filter(within);
  };
  const found = [at([1, 2, 5], 1), at([1, 3], 1), ...[1, 2, 3, 5, 10, 20, 50, 100].map((every) => at([1], every))];
  return found.find((some) => some.length > 1 && some.length <= most) ?? scaleLinear([low, high], [0, 1]).ticks(2);
}

/** A tick in few signs: `0.05`, `1e−4`. */
export function tickText(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return plain(value).includes("e") ? plain(value) : scientific(value);
  return plain(value);
}

function scientific(value: number): string {
  return value.toExponential().replace("e+", "e").replaceAll("-", "−");
}

/** Heights at which labels stand clear of each other, each as near to its own as can be; in the order given. */
export function apart(heights: readonly number[], gap: number, [low, high]: Range): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a]! - heights[b]!);
  const placed = [...heights];
  order.forEach((at, i) => {
    const above = i ? placed[order[i - 1]!]! + gap : low;
    placed[at] = Math.max(heights[at]!, above);
  });
  order.toReversed().forEach((at, i, all) => {
    const below = i ? placed[all[i - 1]!]! - gap : high;
    placed[at] = Math.min(placed[at]!, below);
  });
  return placed;
}

/** Half as many epochs round a place, or twice as many; null for all of them. */
export function zoomedBy(factor: 0.5 | 2, [low, high]: Range, at: number, all: Range): Range | null {
  const width = (high - low) * factor;
  if (width >= all[1] - all[0]) return null;
  if (width < 2) return [low, high];
  const from = Math.min(Math.max(at - width / 2, all[0]), all[1] - width);
  return [from, from + width];
}
