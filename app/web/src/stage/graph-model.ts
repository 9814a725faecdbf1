/** What the graph shows of the model: its drawing, how strong each line is, and what is lit. */

import { computed, signal } from "@preact/signals";
import { parse } from "../names";
import { lit, openPath } from "../state/explaining";
import { fitsCards, rows, sample, sampleCount, shape, snapshot, wrong } from "../state/model";
import { fullPrecision } from "../state/settings";
import type { Snapshot } from "../types";
import { place, type Drawing, type Line, type Placed } from "./geometry";

/** Whether gradients have a place in cards and chips: from the first backward on. */
export const hasBack = computed(() => {
  const now = snapshot.value;
  return now !== null && (now.steps > 0 || now.phase === "backward" || now.layers.some(({ dL_dz }) => dL_dz));
});

/** Whether lines are gradients: from the start of a backward pass to its update. */
export const showsGradients = computed(() => snapshot.value?.phase === "backward");

/** The targets of the sample on the screen, by name: a row of them, or the number of a class. */
export const targetNames = computed<string[]>(() => {
  const outputs = shape.value?.sizes.at(-1) ?? 1;
  const first: unknown = snapshot.value?.targets?.[0] ?? rows.value?.targets?.[0];
  if (typeof first === "number") return [`targets[${sample.value}]`];
  return Array.from({ length: outputs }, (_, k) => `targets[${sample.value}][${k}]`);
});

const targetRows = computed(() => targetNames.value.length);

/** The room that the graph has, in px. */
export const room = signal<{ width: number; height: number } | null>(null);
/** The smallest that cards and tiles are drawn. */
export const LEAST = { cards: 0.8, tiles: 0.7 };

/** What a number in full is wider than a rounded one, in px. */
const FULL = 112;

export interface Drawn {
  drawing: Drawing;
  placed: Placed;
}

/** The drawing that the room has place for: cards where they fit and can be read, with rounded numbers if need be; otherwise tiles. */
export const drawn = computed<Drawn | null>(() => {
  const space = room.value;
  if (!shape.value || !space) return null;
  const { sizes, layers } = shape.value;
  const plain = { sizes, biases: layers.map(({ bias }) => bias), back: hasBack.value, wider: 0, targets: targetRows.value, mean: sampleCount.value > 1 };
  const widths = fullPrecision.value ? [FULL, 0] : [0];
  for (const wider of fitsCards.value ? widths : []) {
    const drawing = { ...plain, cards: true, wider };
    const placed = place(drawing, space);
    if (placed.width * LEAST.cards <= space.width) return { drawing, placed };
  }
  const tiles = { ...plain, cards: false };
  return { drawing: tiles, placed: place(tiles, space) };
});

/** How many characters of a number a card has room for; undefined where there is room for all. */
export const mostCharacters = computed(() => (drawn.value?.drawing.wider === 0 ? 8 : undefined));

type Valued = Pick<Line, "kind" | "layer" | "unit" | "input">;

/** What a line stands for now: a parameter or its gradient; null where that is not computed. */
export function valueOfLine({ layers }: Snapshot, { kind, layer, unit, input }: Valued, gradients: boolean): number | null {
  if (kind === "loss") return null;
  const parameter = layers[layer]?.parameters?.[kind];
  const tensor = (gradients ? parameter?.gradient : parameter?.value) as (number | null)[] | (number | null)[][] | null | undefined;
  if (!tensor) return null;
  const row = tensor[kind === "bias" && tensor.length === 1 ? 0 : unit];
  return (Array.isArray(row) ? row[input] : row) ?? null;
}

/** The largest of them, in the whole net. */
export const largest = computed(() => {
  let most = 0;
  for (const { parameters } of snapshot.value?.layers ?? []) {
    for (const { value, gradient } of Object.values(parameters ?? {})) {
      const tensor = showsGradients.value ? gradient : value;
      for (const one of (tensor ?? []).flat()) most = Math.max(most, Math.abs(one ?? 0));
    }
  }
  return most;
});

/** A line's width in px, thinner where there are so many that they would make a surface. */
export function widthOf(value: number, most: number, dense = false): number {
  const [least, more] = dense ? [0.6, 2.2] : [1.25, 4.25];
  return least + (most > 0 ? more * Math.sqrt(Math.abs(value) / most) : 0);
}

/** The name of the number that a line stands for. */
export function nameOfLine({ kind, layer, unit, input }: Valued, gradients: boolean): string {
  const { name, bias } = shape.value!.layers[layer]!;
  const place = kind === "weight" ? `[${unit}][${input}]` : `[${bias === "shared" ? 0 : unit}]`;
  return `${name}.${kind}${gradients ? ".gradient" : ""}${place}`;
}

export const lineKey = ({ kind, layer, unit, input }: Valued): string => `${kind} ${layer} ${unit} ${input}`;

/** What of the graph is lit: its lines with the paths that go along each, and what is ringed. */
export interface Glow {
  lines: ReadonlyMap<string, number[]>;
  /** `unit LAYER UNIT`, `input I`, `weight LAYER UNIT INPUT`, `bias LAYER UNIT`, `loss`. */
  rings: ReadonlySet<string>;
  /** Whether paths are numbered: where there is more than one. */
  numbered: boolean;
  open: number;
}

export const glow = computed<Glow>(() => {
  const { selected, factors, changed, paths } = lit.value;
  const lines = new Map<string, number[]>();
  const rings = new Set<string>();
  if (selected === null || !shape.value) return { lines, rings, numbered: false, open: 0 };
  const ways = paths.length ? paths.map((path) => [selected, ...path]) : [[selected, ...factors, ...changed]];
  for (const [k, names] of ways.entries()) {
    // A ring says that its number has part in it, a line only that it goes along there.
    for (const key of partsOf(names.filter((name) => !changed.has(name)), paths.length > 0)) rings.add(key);
    for (const key of partsOf(names, paths.length > 0)) {
      if (/^(weight|bias|loss) /.test(key)) lines.set(key, [...(lines.get(key) ?? []), k]);
    }
  }
  return { lines, rings, numbered: paths.length > 1, open: openPath.value };
});

/** The parts of the graph that names stand for, `toLoss` with the last step of a path. */
function partsOf(names: string[], toLoss: boolean): Set<string> {
  const { layers } = shape.value!;
  const found = new Set<string>();
  const biased: number[] = [];
  for (const name of names) {
    const { layer, quantity, index } = parse(name);
    const at = layers.findIndex((one) => one.name === layer);
    if (quantity === "weight" && index.length === 2) found.add(`weight ${at} ${index[0]} ${index[1]}`);
    else if (quantity === "bias") biased.push(at);
    else if (quantity === "inputs") found.add(`input ${index[1]}`);
    else if (quantity === "loss" || quantity === "targets") found.add("loss");
    else if (quantity === "outputs") found.add(`unit ${layers.length - 1} ${index[1] ?? 0}`);
    else if (at >= 0 && index.length > 1) found.add(`unit ${at} ${index[1]}`);
  }
  for (const at of biased) {
    const shared = layers[at]?.bias === "shared";
    const own = names.map(parse).find(({ layer, quantity }) => quantity === "bias" && layer === layers[at]?.name)?.index[0] ?? 0;
    const reached = [...found].flatMap((key) => (key.startsWith(`unit ${at} `) ? [Number(key.split(" ")[2])] : []));
    for (const unit of shared ? reached : [own]) found.add(`bias ${at} ${unit} -1`);
  }
  if (toLoss) {
    found.add("loss");
    for (const key of [...found]) {
      const [kind, at, unit] = key.split(" ");
      if (kind === "unit" && Number(at) === layers.length - 1) found.add(`loss ${layers.length} ${unit} -1`);
    }
  }
  return found;
}

/** The units in which something was filled in wrongly. */
export const wrongUnits = computed<ReadonlySet<string>>(() => {
  const found = new Set<string>();
  for (const name of wrong.value.keys()) {
    const { layer, quantity, index } = parse(name);
    const at = shape.value?.layers.findIndex((one) => one.name === layer) ?? -1;
    const unit = quantity === "weight" || quantity === "bias" ? index[0] : index[1];
    if (at >= 0 && unit !== undefined) found.add(`unit ${at} ${unit}`);
  }
  return found;
});

const SHORT: Record<string, string> = {
  identity: "=", sigmoid: "σ", relu: "ReLU", leaky_relu: "lReLU", elu: "ELU", gelu: "GELU", silu: "SiLU", softplus: "soft+", softmax: "smax",
}; // prettier-ignore
/** An activation's name where there is little room. */
export const short = (activation: string): string => SHORT[activation] ?? activation;
