/** Which tensors there are to be read just now. The page does not ask for what is not computed yet. */

import { parse } from "../../names";
import type { Snapshot, Spec } from "../../types";
import { typeOf, type Shape } from "../../state/shape";

const FORWARD = new Set(["z", "a"]);

/** Whether a tensor has been computed, as far as a snapshot says, be it in there itself or not. */
export function isThere(now: Snapshot, name: string): boolean {
  const { layer, quantity, of } = parse(name);
  if (layer === null) return Boolean((now as unknown as Record<string, unknown>)[quantity]);
  const found = now.layers.find((one) => one.name === layer);
  if (!found) return false;
  if (FORWARD.has(quantity)) return Boolean(found[quantity as "z" | "a"]);
  // The derivatives come with the backward pass; a softmax's are left out of snapshots, and a norm may be no number.
  const norm = now.health?.layers.find((one) => one.name === layer)?.gradient_norm ?? null;
  const backward = Boolean(found.da_dz) || Boolean(found.dL_dz) || norm !== null;
  if (quantity !== "weight" && quantity !== "bias") return backward;
  if (of === "gradient") return backward;
  if (of === "next") return backward && now.phase === "backward";
  if (!of?.startsWith("state.")) return true;
  const slot = of.slice("state.".length);
  const state = found.parameters?.[quantity]?.state;
  // The only slot that an optimizer does not begin with.
  return state ? (state[slot] ?? null) !== null : slot !== "momentum_buffer" || now.steps > 0;
}

/** How many numbers a tensor has, as far as that can be said without reading it. */
export function entriesIn({ inputs, layers }: Shape, samples: number, name: string): number {
  const { layer, quantity, index } = parse(name);
  const found = layers.find((one) => one.name === layer);
  const rows = index.length ? 1 : samples;
  if (!found) return rows * inputs;
  if (quantity === "weight") return found.units * found.inputs;
  return quantity === "bias" ? found.units : rows * found.units;
}

/** What an optimizer keeps for each parameter, by PyTorch's names; its count of steps is not among them. */
export function slotsOf(optimizer: Spec): string[] {
  const options: Record<string, unknown> = typeof optimizer === "string" ? {} : optimizer;
  const type = typeOf(optimizer);
  const momentum = Number(options.momentum ?? 0) !== 0 ? ["momentum_buffer"] : [];
  if (type === "sgd") return momentum;
  if (type === "adam" || type === "adamw") return ["exp_avg", "exp_avg_sq", ...(options.amsgrad ? ["max_exp_avg_sq"] : [])];
  if (type === "rmsprop") return ["square_avg", ...momentum, ...(options.centered ? ["grad_avg"] : [])];
  return type === "adagrad" ? ["sum"] : [];
}
