/** The conditions of "Run until…": what each means, and what it still needs. */

import type { Kind, TrainOptions } from "../types";
import type { Schema } from "../start/schema";
import { problemOf } from "../start/schema";

export type Condition = NonNullable<TrainOptions["stop"]>[number];

/** In plain words, shorter than the catalogue's. */
export const WORDS: Record<string, string> = {
  loss_below: "the loss is below a value",
  plateau: "the loss has stopped falling",
  gradient_norm_above: "the gradient explodes: its norm is above a value",
  gradient_norm_below: "the gradient vanishes: its norm is below a value",
  saturated_units_above: "a layer's units are saturated: a share of them",
  dead_units_above: "a layer's units are dead: a share of them",
  update_ratio_above: "an update changes a layer by more than a share",
  parameter_outside: "a parameter leaves a range",
  epoch: "an epoch is reached",
  expression: "a condition of my own holds",
};

/** What a condition begins with, so that it can be run at once. */
const FIRST: Record<string, Record<string, unknown>> = {
  loss_below: { value: 0.01 },
  gradient_norm_above: { value: 10 },
  gradient_norm_below: { value: 0.001 },
  saturated_units_above: { value: 0.5 },
  dead_units_above: { value: 0.5 },
  update_ratio_above: { value: 0.1 },
  expression: { value: "loss > 1.2 * best_loss and epoch > 20" },
};

export function first(type: string, parameter: string, epochs: number): Condition {
  if (type === "parameter_outside") return { type, parameter, low: -10, high: 10 };
  if (type === "epoch") return { type, value: epochs + 100 };
  return { type, ...FIRST[type] };
}

/** What is missing or wrong in a condition before it can be run; null where nothing is. */
export function lacks(condition: Condition, kind: Kind | undefined): string | null {
  const { properties = {}, required = [] } = (kind?.options ?? {}) as Schema;
  for (const [key, schema] of Object.entries(properties)) {
    const value = condition[key];
    const name = key.replaceAll("_", " ");
    if (value === undefined && required.includes(key)) return `Fill in ${name} first.`;
    const wrong = schema.type === "number" || schema.type === "integer" ? problemOf(value, schema) : null;
    if (wrong) return `The ${name} ${wrong}.`;
  }
  return null;
}
