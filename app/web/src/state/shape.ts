/** A config's network in plain terms, whether it was filled in by the server or not. */

import type { Config, Snapshot, Spec } from "../types";

export interface LayerShape {
  name: string;
  units: number;
  inputs: number;
  activation: string;
  bias: "per_unit" | "shared" | "none";
  trainable: boolean;
}

export interface Shape {
  inputs: number;
  layers: LayerShape[];
  /** Inputs, then the units of each layer. */
  sizes: number[];
  loss: string;
  optimizer: string;
  learningRate: number | null;
  parameters: number;
}

export const typeOf = (spec: Spec | null | undefined): string => (typeof spec === "string" ? spec : (spec?.type ?? "inline"));

export function shapeOf(config: Config): Shape {
  let inputs = config.network.inputs;
  const layers = config.network.layers.map((layer, i) => {
    const shape: LayerShape = {
      name: layer.name ?? `layer${i + 1}`,
      units: layer.units,
      inputs,
      activation: layer.activation ? typeOf(layer.activation) : "identity",
      bias: layer.bias ?? "per_unit",
      trainable: layer.trainable ?? true,
    };
    inputs = layer.units;
    return shape;
  });
  const optimizer = config.optimizer;
  const rate = typeof optimizer === "object" ? optimizer.learning_rate : undefined;
  return {
    inputs: config.network.inputs,
    layers,
    sizes: [config.network.inputs, ...layers.map(({ units }) => units)],
    loss: typeOf(config.loss),
    optimizer: typeOf(optimizer),
    learningRate: typeof rate === "number" ? rate : null,
    parameters: layers.reduce((sum, layer) => sum + layer.units * layer.inputs + biasEntries(layer), 0),
  };
}

/** Whether the graph can show a network of this shape. */
export const fits = ({ sizes, layers }: Shape): boolean => Math.max(...sizes) <= 16 && layers.length <= 8;

export function biasEntries({ bias, units }: LayerShape): number {
  return bias === "none" ? 0 : bias === "shared" ? 1 : units;
}

/** The snapshot that a session of this config would start with, as far as its config says: nothing computed yet. */
export function firstSnapshot(config: Config): Snapshot {
  const { layers } = shapeOf(config);
  const data = typeof config.data === "object" ? config.data : null;
  return {
    session: "",
    revision: 0,
    phase: "ready",
    next: { operation: "forward", layer: layers[0]!.name },
    allowed: ["forward", "train"],
    steps: 0,
    epochs: 0,
    loss: null,
    inputs: (data?.inputs as number[][] | undefined) ?? null,
    targets: (data?.targets as number[][] | undefined) ?? null,
    outputs: null,
    layers: layers.map((layer, i) => {
      const init = config.network.layers[i]!.init;
      const parameters: Snapshot["layers"][number]["parameters"] = {
        weight: { value: filled(init?.weight, layer.units, layer.inputs) as number[][] | null, gradient: null, state: {} },
      };
      const entries = biasEntries(layer);
      if (entries) parameters.bias = { value: filled(init?.bias, entries) as number[] | null, gradient: null, state: {} };
      return { name: layer.name, activation: layer.activation, z: null, a: null, da_dz: null, dL_da: null, dL_dz: null, parameters };
    }),
    nonfinite: [],
    omitted: [],
  };
}

function filled(init: unknown, ...shape: number[]): unknown {
  if (Array.isArray(init)) return init;
  if (typeof init !== "number") return null;
  const [length, ...rest] = shape;
  return length === undefined ? init : Array.from({ length }, () => filled(init, ...rest));
}

const LOSSES: Record<string, string> = {
  half_squared_error: "½ squared error", mse: "mean squared error", mae: "mean absolute error", huber: "Huber",
  bce: "binary cross-entropy", bce_with_logits: "binary cross-entropy of logits", cross_entropy: "cross-entropy",
  nll: "negative log-likelihood",
}; // prettier-ignore
const OPTIMIZERS: Record<string, string> = { sgd: "SGD", adam: "Adam", adamw: "AdamW", rmsprop: "RMSprop", adagrad: "Adagrad" };
const ACTIVATIONS: Record<string, string> = { relu: "ReLU", leaky_relu: "leaky ReLU", elu: "ELU", gelu: "GELU", silu: "SiLU" };

/** What people call a type: `half_squared_error` is "½ squared error". */
export const called = (type: string): string => LOSSES[type] ?? OPTIMIZERS[type] ?? ACTIVATIONS[type] ?? type.replaceAll("_", " ");

/** `2 – 2 – 1` */
export const dimensions = (sizes: number[], dash = " – "): string => sizes.join(dash);
