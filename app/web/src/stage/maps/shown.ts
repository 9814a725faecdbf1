/** What the heat maps show: which tensor of which layer, and where the crosshair stands. */

import { batch, computed, effect, signal } from "@preact/signals";
import { entry, parse, type Name } from "../../names";
import { justDone, sample, selection, session, shape } from "../../state/model";

export type Weights = "value" | "gradient" | "update";
export type BySample = "z" | "a" | "dL_da" | "dL_dz";
export type Quantity = Weights | BySample;

export interface Chosen {
  /** Null for the inputs. */
  layer: string | null;
  quantity: Quantity;
}

const chosen = signal<(Chosen & { session: string | undefined }) | null>(null);
/** The row and the column that were pressed, or moved to by the arrow keys. */
export const cursor = signal<[number, number] | null>(null);
/** The row and the column under the mouse. */
export const hovered = signal<[number, number] | null>(null);

/** What is shown: what was chosen last, or the weights of the layer that was computed last, or of the first. */
export const shownTensor = computed<Chosen>(() => {
  const layers = shape.value?.layers ?? [];
  const own = chosen.value;
  if (own && own.session === session.value?.id && (own.layer === null || layers.some(({ name }) => name === own.layer))) return own;
  const done = layers.find(({ name }) => name === justDone.value?.layer);
  return { layer: (done ?? layers[0])?.name ?? null, quantity: "value" };
});

export function choose(next: Partial<Chosen>): void {
  const before = shownTensor.peek();
  const after = { ...before, ...next };
  batch(() => {
    chosen.value = { ...after, session: session.peek()?.id };
    hovered.value = null;
    const same = before.layer === after.layer && isWeights(before.quantity) === isWeights(after.quantity);
    if (!same) cursor.value = null;
  });
}

export const isWeights = (quantity: Quantity): quantity is Weights =>
  quantity === "value" || quantity === "gradient" || quantity === "update";

/** The name of the tensor that is shown. An update is that of the weights to come. */
export function nameOf({ layer, quantity }: Chosen): string {
  if (layer === null) return "inputs";
  if (quantity === "value") return `${layer}.weight`;
  if (quantity === "gradient") return `${layer}.weight.gradient`;
  return quantity === "update" ? `${layer}.weight.next` : `${layer}.${quantity}`;
}

/** What shows the number of a name: its tensor, and its row and column in there; null where no heat map does. */
export function placeOf({ layer, quantity, of, index }: Name): (Chosen & { cell: [number, number] }) | null {
  const [row, column] = index;
  if (row === undefined || column === undefined || index.length > 2) return null;
  const cell: [number, number] = [row, column];
  if (layer === null) return quantity === "inputs" ? { layer, quantity: "value", cell } : null;
  if (quantity === "weight") {
    const shown = of === null ? "value" : of === "next" ? "update" : of === "gradient" ? "gradient" : null;
    return shown && { layer, quantity: shown, cell };
  }
  return ["z", "a", "dL_da", "dL_dz"].includes(quantity) ? { layer, quantity: quantity as BySample, cell } : null;
}

// The crosshair follows the selection, wherever that is made.
effect(() => {
  const place = selection.value === null ? null : placeOf(parse(selection.value));
  if (!place) return;
  const { cell, ...tensor } = place;
  batch(() => {
    choose(tensor);
    cursor.value = cell;
  });
});

/** The name of a cell of the tensor that is shown. */
export function cellName(shown: Chosen, [row, column]: readonly [number, number]): string {
  return entry(nameOf(shown), row, column);
}

/** Where the crosshair stands, inside a tensor of so many rows and columns. */
export const crosshair = computed<[number, number]>(() => {
  const by = shownTensor.value;
  const first = by.layer === null || !isWeights(by.quantity) ? sample.value : 0;
  return hovered.value ?? cursor.value ?? [first, 0];
});
