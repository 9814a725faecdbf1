/** What the network answers over the plane of its two inputs, or along its one: the picture that lives while it trains. */

import { computed, effect, signal, untracked } from "@preact/signals";
import { call, url } from "../client";
import type { Prediction, Probe } from "../types";
import { path, when } from "./actions";
import { fitsGraph, rows, session, shape, snapshot, training } from "./model";
import { report } from "./troubles";

/** Points along each side of the plane; along the line, where there is one input. */
export const SIDE = 32;
export const LINE = 200;

export interface Plane {
  /** The smallest and the largest value of each input. */
  domain: [number, number][];
  probe: Probe;
}

/** The answers on the screen; null where the network has more inputs, or nothing was asked yet. */
export const plane = signal<Plane | null>(null);

export type Side = [low: number, high: number];

/** The part of the plane that is drawn: round the rows, and the same while rows come and go within it. */
export const domain = computed<Side[] | null>(() => {
  const inputs = shape.value?.inputs ?? 0;
  if (inputs < 1 || inputs > 2) return null;
  const points = [...(rows.value?.inputs ?? []), ...(rows.value?.test?.inputs ?? [])].map((point) => point.map((x) => x ?? 0));
  const wanted = round(points, inputs);
  const id = session.value?.id;
  if (id !== undefined && id === drawn?.id && fits(drawn.sides, points, wanted)) return drawn.sides;
  if (id !== undefined) drawn = { id, sides: wanted };
  return wanted;
});
let drawn: { id: string; sides: Side[] } | null = null;

/** The extent of points, with a margin; both sides of a plane alike, so that a circle is one. */
export function round(points: readonly number[][], inputs: number): Side[] {
  const sides = Array.from({ length: inputs }, (_, i) => extent(points.map((point) => point[i]!)));
  if (sides.length === 1) return sides;
  const half = Math.max(...sides.map(([low, high]) => high - low)) / 2;
  return sides.map(([low, high]) => [(low + high) / 2 - half, (low + high) / 2 + half]);
}

function extent(values: readonly number[]): Side {
  if (values.length < 2) return [-1, 1];
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const margin = 0.15 * (high - low || 1);
  return [low - margin, high + margin];
}

/** Whether points lie within sides that are not much larger than those they want. */
export function fits(sides: readonly Side[], points: readonly number[][], wanted: readonly Side[]): boolean {
  if (sides.length !== wanted.length) return false;
  const within = points.every((point) => sides.every(([low, high], i) => point[i]! >= low && point[i]! <= high));
  return within && sides.every(([low, high], i) => high - low <= 3 * (wanted[i]![1] - wanted[i]![0]));
}

/** The inputs to ask the network about, row by row from the lowest; null where it has more than two. */
export function probeInputs(): number[][] | null {
  const sides = domain.value;
  if (!sides) return null;
  const along = ([low, high]: [number, number], many: number) =>
    Array.from({ length: many }, (_, i) => low + ((high - low) * (i + 0.5)) / many);
  if (sides.length === 1) return along(sides[0]!, LINE).map((x) => [x]);
  return along(sides[1]!, SIDE).flatMap((y) => along(sides[0]!, SIDE).map((x) => [x, y]));
}

/** Show the answers to `probeInputs`; those to others, which another client may have asked for, are no picture. */
export function showProbe(probe: Probe): void {
  const sides = domain.value;
  if (sides && probe.outputs.length === (sides.length === 1 ? LINE : SIDE * SIDE)) plane.value = { domain: sides, probe };
}

let asked = 0;
async function ask(): Promise<void> {
  const inputs = probeInputs();
  const mine = ++asked;
  if (!inputs) return;
  const place = url(path("/predict"), { include: drawsUnits.value ? "activations" : undefined, ...when() });
  const answer = await call<Prediction>("POST", place, { body: { inputs } });
  if (mine === asked && !training.value) showProbe(answer as Probe);
}

/** Whether the rows make a picture worth drawing: more than one of them. */
export const hasPicture = computed(() => domain.value !== null && (rows.value?.inputs?.length ?? 0) > 1);
/** Whether each unit's answers are asked for too: the graph draws them as tiles, where it has no room for cards. */
export const drawsUnits = fitsGraph;

// The picture follows the parameters: asked anew when the numbers on the screen have changed, but not for each pass.
let seen = "";
effect(() => {
  const now = snapshot.value;
  const id = session.value?.id;
  if (!hasPicture.value || !id) {
    asked++;
    seen = "";
    plane.value = null;
    return;
  }
  const sides = domain.value;
  if (training.value || !now || now.session !== id) return;
  const parameters = now.layers.map((layer) => Object.values(layer.parameters ?? {}).map(({ value }) => value));
  const key = JSON.stringify([id, sides, parameters]);
  if (key === seen && plane.peek()) return;
  seen = key;
  untracked(() => ask().catch((error: unknown) => report(error, null)));
});
