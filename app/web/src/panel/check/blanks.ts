/** What a sheet of blanks asks for: the numbers of one step, or of all of them, a row for each quantity and a column for each unit. */

import { entry } from "../../names";
import { labelOf } from "../../state/next";
import type { LayerShape, Shape } from "../../state/shape";
import type { Next } from "../../types";

/** So many units of a layer, and inputs of a unit, are asked for. */
export const MOST = 8;

/** One quantity of a layer, for each unit that is asked for. */
export interface Row {
  /** The tensor that it belongs to: `hidden.dL_dz`. */
  tensor: string;
  /** The input that its weights come from, from 0. */
  input?: number;
  /** The names of its numbers, by unit: one for a loss or a shared bias. */
  entries: string[];
  /** What to say in place of the other columns, where there is one number for all units. */
  single?: string;
}

export interface Group {
  title: string;
  /** Which sample it is about, and what it leaves out. */
  notes: string[];
  units: number;
  rows: Row[];
}

export interface Batch {
  /** The sample to work out, from 0, of how many. */
  sample: number;
  samples: number;
  /** Whether there are targets, and so a loss. */
  targets: boolean;
}

/** Every operation of one training step, as `next` would name them. */
export function wholeStep({ layers }: Shape): Next[] {
  const names = layers.map(({ name }) => name);
  const parameters = layers.filter(({ trainable }) => trainable).flatMap(parametersOf);
  return [
    ...names.map((layer): Next => ({ operation: "forward", layer })),
    ...names.toReversed().map((layer): Next => ({ operation: "backward", layer })),
    ...(parameters.length ? [{ operation: "step", parameters } as Next] : []),
  ];
}

const parametersOf = ({ name, bias }: LayerShape): string[] => (bias === "none" ? [`${name}.weight`] : [`${name}.weight`, `${name}.bias`]);

/** The blanks of some operations. */
export function blanksFor(steps: Next[], shape: Shape, batch: Batch): Group[] {
  return steps.flatMap((step) => {
    const title = step.operation === "step" ? "Update" : Object.values(labelOf(step, shape)).join(" ");
    if (step.operation !== "step") {
      const layer = shape.layers.find(({ name }) => name === step.layer)!;
      const isLast = layer === shape.layers.at(-1);
      return [step.operation === "forward" ? forward(layer, isLast, title, batch) : backward(layer, title, batch)];
    }
    return shape.layers
      .map((layer) => update(layer, step.parameters ?? [], `${title} of ${layer.name}`))
      .filter(({ rows }) => rows.length > 0);
  });
}

function forward(layer: LayerShape, isLast: boolean, title: string, { sample, samples, targets }: Batch): Group {
  const rows = [byUnit(layer, "z", sample), byUnit(layer, "a", sample)];
  if (isLast && targets) rows.push({ tensor: "loss", entries: ["loss"], single: samples > 1 ? `of all ${samples} samples` : "one value" });
  return { title, rows, units: shownUnits(layer), notes: [...ofSample("z and a", sample, samples), ...leftOut(layer)] };
}

function backward(layer: LayerShape, title: string, { sample, samples }: Batch): Group {
  const rows = [byUnit(layer, "dL_da", sample), byUnit(layer, "dL_dz", sample), ...parameterRows(layer, "gradient")];
  const all = samples > 1 ? [`The gradients of weights and biases are summed over all ${samples}.`] : [];
  const notes = [...ofSample("∂L/∂a and ∂L/∂z", sample, samples), ...all, ...leftOut(layer, true)];
  return { title, rows, units: shownUnits(layer), notes };
}

function update(layer: LayerShape, parameters: string[], title: string): Group {
  const rows = parameterRows(layer, "next").filter(({ tensor }) => parameters.includes(tensor.replace(/\.next$/, "")));
  return { title, rows, units: shownUnits(layer), notes: leftOut(layer, true) };
}

const shownUnits = ({ units }: LayerShape): number => Math.min(units, MOST);
const range = (many: number): number[] => Array.from({ length: many }, (_, i) => i);

function byUnit(layer: LayerShape, quantity: string, sample: number): Row {
  const tensor = `${layer.name}.${quantity}`;
  return { tensor, entries: range(shownUnits(layer)).map((unit) => entry(tensor, sample, unit)) };
}

function parameterRows(layer: LayerShape, part: "gradient" | "next"): Row[] {
  const units = range(shownUnits(layer));
  const weight = `${layer.name}.weight.${part}`;
  const bias = `${layer.name}.bias.${part}`;
  const rows: Row[] = range(Math.min(layer.inputs, MOST)).map((input) => ({
    tensor: weight,
    input,
    entries: units.map((unit) => entry(weight, unit, input)),
  }));
  if (layer.bias === "shared") rows.push({ tensor: bias, entries: [entry(bias, 0)], single: "shared: one value" });
  if (layer.bias === "per_unit") rows.push({ tensor: bias, entries: units.map((unit) => entry(bias, unit)) });
  return rows;
}

const ofSample = (what: string, sample: number, samples: number): string[] =>
  samples > 1 ? [`${what} are those of sample ${sample + 1} of ${samples}.`] : [];

function leftOut({ units, inputs }: LayerShape, withInputs = false): string[] {
  const parts = [];
  if (units > MOST) parts.push(`${MOST} of ${units} units`);
  if (withInputs && inputs > MOST) parts.push(`${MOST} of ${inputs} inputs`);
  return parts.length ? [`Asked for: the first ${parts.join(" and the first ")}.`] : [];
}
