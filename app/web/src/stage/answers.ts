/** What a network's answers over its inputs mean: two classes, several, or a value; and which rows are which. */

import { contours } from "d3-contour";
import { plain } from "../numbers";
import type { Rows } from "../types";

export type Meaning =
  | { kind: "binary"; low: number; high: number; names: string[] }
  | { kind: "classes"; names: string[] }
  | { kind: "value"; low: number; high: number };

type Row = readonly (number | null)[];
export type Targets = readonly Row[] | readonly (number | null)[] | null;

/** What one output, or several, stand for, by the targets of the rows. */
export function meaningOf({ targets, class_names }: Pick<Rows, "targets" | "class_names">, outputs: number): Meaning {
  const all = (targets ?? []) as readonly (Row | number | null)[];
  const name = (value: number, i: number) =>
    class_names?.[i] ?? (Number.isInteger(value) ? `class ${plain(value)}` : `target ${plain(value)}`);
  const nested = all.filter((row): row is Row => Array.isArray(row));
  if (all.length && nested.length < all.length) return { kind: "classes", names: Array.from({ length: outputs }, (_, i) => name(i, i)) };
  if (outputs > 1 && nested.length && nested.every(isOneHot)) {
    return { kind: "classes", names: Array.from({ length: outputs }, (_, i) => name(i, i)) };
  }
  const values = [...new Set(nested.map((row) => row[0] ?? 0))].sort((a, b) => a - b);
  if (values.length === 2 && outputs === 1) {
    return { kind: "binary", low: values[0]!, high: values[1]!, names: values.map(name) };
  }
  const [low = -1, high = 1] = [values[0], values.at(-1)];
  if (low < 0 && high > 0) return { kind: "value", low: -Math.max(-low, high), high: Math.max(-low, high) };
  return low === high ? { kind: "value", low: low - 1, high: high + 1 } : { kind: "value", low, high };
}

const isOneHot = (row: Row): boolean => row.every((value) => value === 0 || value === 1) && row.filter((value) => value === 1).length === 1;

/** The class of each row, or how far its target is between low and high; null without targets. */
export function classOf(target: Row | number | null, meaning: Meaning): number | null {
  if (meaning.kind === "classes") return Array.isArray(target) ? target.indexOf(1) : (target as number | null);
  const value = Array.isArray(target) ? (target as Row)[0] : (target as number | null);
  if (value === null || value === undefined) return null;
  const share = (value - meaning.low) / (meaning.high - meaning.low);
  return meaning.kind === "binary" ? Number(share > 0.5) : share;
}

/** What an output is, where the loss takes logits or logarithms: a probability. */
export function linked(output: Row, loss: string): number[] {
  const values = output.map((value) => value ?? NaN);
  if (loss === "bce_with_logits") return values.map((value) => 1 / (1 + Math.exp(-value)));
  if (loss === "nll") return values.map(Math.exp);
  if (loss !== "cross_entropy") return values;
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** For each point, how far its first output is from low to high. */
export function sharesOf(outputs: readonly Row[], loss: string, { low, high }: { low: number; high: number }): number[] {
  return outputs.map((output) => (linked(output.slice(0, 1), loss)[0]! - low) / (high - low));
}

/** For each point, the class that is answered, and how sure the answer is: 0 to 1. */
export function winners(outputs: readonly Row[], loss: string): { winner: number; sure: number }[] {
  return outputs.map((output) => {
    const values = linked(output, loss);
    const most = Math.max(...values);
    const chance = 1 / values.length;
    return { winner: values.indexOf(most), sure: Math.min(1, Math.max(0, (most - chance) / (1 - chance))) };
  });
}

/** For each class, how far its output leads at each point; below 0 where another one does. */
export function leads(outputs: readonly Row[], classes: number): number[][] {
  const all = outputs.map((output) => output.map((value) => value ?? NaN));
  return Array.from({ length: classes }, (_, c) =>
    all.map((values) => values[c]! - Math.max(...values.filter((_, other) => other !== c))),
  );
}

export type Point = [x: number, y: number];

/** The lines along which a grid of values crosses a level, in units of its cells; they go on beyond its edges. */
export function lines(values: readonly number[], side: number, level: number): Point[][] {
  // With a cell more all round, each in line with the two before it, the contours close outside of the grid.
  const wide = side + 2;
  const at = (x: number, y: number): number => {
    if (x < 0) return 2 * at(0, y) - at(1, y);
    if (x >= side) return 2 * at(side - 1, y) - at(side - 2, y);
    if (y < 0) return 2 * at(x, 0) - at(x, 1);
    if (y >= side) return 2 * at(x, side - 1) - at(x, side - 2);
    return values[y * side + x]!;
  };
  const padded = Array.from({ length: wide * wide }, (_, i) => at((i % wide) - 1, Math.floor(i / wide) - 1));
  const [shape] = contours().size([wide, wide]).thresholds([level])(padded);
  const found: Point[][] = [];
  for (const ring of shape!.coordinates.flat()) {
    let line: Point[] = [];
    for (const [x, y] of ring as Point[]) {
      if (x > 0 && x < wide && y > 0 && y < wide) {
        if (!line.length) found.push(line);
        line.push([x - 1, y - 1]);
      } else line = [];
    }
  }
  return found;
}

/** The index of the nearest point within a distance, or -1. */
export function nearest(points: readonly Point[], [x, y]: Point, within: number): number {
  let best = -1;
  let least = within;
  points.forEach((point, i) => {
    const distance = Math.hypot(point[0] - x, point[1] - y);
    if (distance <= least) [best, least] = [i, distance];
  });
  return best;
}
