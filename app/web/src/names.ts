/** The names by which the API addresses every number, `hidden.weight.gradient[0][1]`: taken apart, and put into words. */

import type { Snapshot } from "./types";
import type { Value } from "./numbers";

/** A name's parts: `hidden`, `weight`, `gradient`, `[0, 1]`; a bare one (`loss`, `inputs`) has no layer. */
export interface Name {
  layer: string | null;
  quantity: string;
  of: string | null;
  index: number[];
}

export function parse(name: string): Name {
  const bracket = name.indexOf("[");
  const path = (bracket < 0 ? name : name.slice(0, bracket)).split(".");
  const index = [...name.matchAll(/\[(\d+)\]/g)].map((match) => Number(match[1]));
  if (path.length === 1) return { layer: null, quantity: path[0]!, of: null, index };
  return { layer: path[0]!, quantity: path[1]!, of: path.slice(2).join(".") || null, index };
}

/** `tensorName("hidden.z[0][1]")` is `hidden.z`. */
export function tensorName(name: string): string {
  const bracket = name.indexOf("[");
  return bracket < 0 ? name : name.slice(0, bracket);
}

export function entry(tensor: string, ...index: number[]): string {
  return tensor + index.map((i) => `[${i}]`).join("");
}

const BY_SAMPLE = new Set(["z", "a", "da_dz", "dL_da", "dL_dz", "inputs", "targets", "outputs"]);

/** Whether the first axis of what a name stands for are samples. */
export function isBySample({ quantity }: Name): boolean {
  return BY_SAMPLE.has(quantity);
}

/** The tensor that a name stands for in a snapshot, as nested lists; undefined where it is not in there. */
export function tensorOf(snapshot: Snapshot, { layer, quantity, of }: Name): unknown {
  if (layer === null) {
    if (quantity === "gradient_norm") return snapshot.health?.gradient_norm;
    return (snapshot as unknown as Record<string, unknown>)[quantity];
  }
  const found = snapshot.layers.find(({ name }) => name === layer);
  if (!found) return undefined;
  if (quantity !== "weight" && quantity !== "bias") return (found as unknown as Record<string, unknown>)[quantity];
  const parameter = found.parameters?.[quantity];
  if (of === null) return parameter?.value;
  if (of === "gradient") return parameter?.gradient;
  return of.startsWith("state.") ? parameter?.state?.[of.slice(6)] : undefined;
}

/** Whether a snapshot says that what a name stands for is still to be computed, rather than not shown. */
export function isNotComputed(snapshot: Snapshot, name: string): boolean {
  return tensorOf(snapshot, parse(name)) === null && !snapshot.omitted.includes(tensorName(name));
}

/** The number that a name stands for. `firstSample` is the sample that a snapshot narrowed by `?samples=` starts with. */
export function valueOf(snapshot: Snapshot, name: string, firstSample = 0): Value {
  const parsed = parse(name);
  const index = isBySample(parsed) ? [parsed.index[0]! - firstSample, ...parsed.index.slice(1)] : parsed.index;
  let value = tensorOf(snapshot, parsed);
  for (const i of index) value = Array.isArray(value) ? value[i] : undefined;
  if (typeof value === "number") return value;
  if (value !== null) return undefined;
  const tensor = tensorName(name);
  const odd = snapshot.nonfinite.find((item) => item.name === tensor && item.index.join() === parsed.index.join());
  return odd ? (odd.value as Value) : null;
}

const WORDS: Record<string, string> = {
  z: "z", a: "activation a", da_dz: "derivative ∂a/∂z", dL_da: "gradient ∂L/∂a", dL_dz: "gradient ∂L/∂z",
  inputs: "input", targets: "target", outputs: "output", loss: "loss", gradient_norm: "gradient norm",
}; // prettier-ignore

/** A name as a person would say it, units and samples counted from 1: "gradient of hidden weight 1, 2". */
export function inWords(name: string, samples = 1): string {
  const parsed = parse(name);
  const { layer, quantity, of, index } = parsed;
  if (quantity === "weight" || quantity === "bias") {
    const place = index.length ? ` ${index.map((i) => i + 1).join(", ")}` : "";
    const what = `${layer} ${quantity}${place}`;
    if (of === null) return what;
    return of === "gradient" ? `gradient of ${what}` : of === "next" ? `next ${what}` : `${of.slice(6)} of ${what}`;
  }
  const word = WORDS[quantity] ?? quantity;
  const [sample, ...units] = index;
  const place = units.length ? ` ${units.map((i) => i + 1).join(", ")}` : "";
  const row = samples > 1 && sample !== undefined ? `, sample ${sample + 1}` : "";
  return layer === null ? `${word}${place}${row}` : `${layer} unit${place}, ${word}${row}`;
}
