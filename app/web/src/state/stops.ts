/** When a training stops before all of its epochs are done, in words. */

import { percent, plain } from "../numbers";
import type { TrainOptions } from "../types";

type Condition = NonNullable<TrainOptions["stop"]>[number];

/** "loss < 0.02, or plateau" */
export function stopWords(conditions: readonly Condition[] = []): string {
  return conditions.map(conditionWords).join(", or ");
}

const SIGNS: Record<string, string> = {
  loss_below: "loss <", gradient_norm_above: "gradient norm >", gradient_norm_below: "gradient norm <",
  saturated_units_above: "saturated units >", dead_units_above: "dead units >", update_ratio_above: "update ratio >",
  epoch: "epoch", expression: "",
}; // prettier-ignore
const SHARES = new Set(["saturated_units_above", "dead_units_above"]);

function conditionWords({ type, value, ...rest }: Condition): string {
  const sign = SIGNS[type];
  if (sign !== undefined) {
    const number = typeof value !== "number" ? String(value) : SHARES.has(type) ? percent(value) : plain(value);
    return `${sign} ${number}`.trim();
  }
  if (type === "parameter_outside") return `${rest.parameter} outside ${plain(Number(rest.low))} … ${plain(Number(rest.high))}`;
  return type.replaceAll("_", " ");
}
