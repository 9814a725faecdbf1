/** A config as a form changes it: layers come and go, and numbers that were given for other sizes go with them. */

import type { Config, LayerConfig, Spec } from "../types";
import { typeOf } from "../state/shape";

export function withInputs(config: Config, inputs: number): Config {
  return fitted({ ...config, network: { ...config.network, inputs } });
}

export function withLayer(config: Config, at: number, layer: LayerConfig): Config {
  return withLayers(config, config.network.layers.with(at, layer));
}

/** A new layer before the last one, which makes the output. */
export function withNewLayer(config: Config): Config {
  const { layers } = config.network;
  const taken = new Set(layers.map(({ name }) => name));
  let number = layers.length;
  while (taken.has(`hidden${number}`)) number++;
  const hidden: LayerConfig = { name: `hidden${number}`, units: layers.at(-2)?.units ?? 4, activation: layers.at(-2)?.activation ?? "tanh" };
  return withLayers(config, layers.toSpliced(-1, 0, hidden));
}

export function withoutLayer(config: Config, at: number): Config {
  return withLayers(config, config.network.layers.toSpliced(at, 1));
}

function withLayers(config: Config, layers: LayerConfig[]): Config {
  return fitted({ ...config, network: { ...config.network, layers } });
}

/** Initial numbers that no longer fit their layer's size are left out: the initialiser takes over. */
function fitted(config: Config): Config {
  let inputs = config.network.inputs;
  const layers = config.network.layers.map((layer) => {
    const { weight, bias } = layer.init ?? {};
    const rows = Array.isArray(weight) ? (weight as unknown[][]) : null;
    const badWeight = rows !== null && (rows.length !== layer.units || rows[0]?.length !== inputs);
    const entries = layer.bias === "shared" ? 1 : layer.units;
    const badBias = Array.isArray(bias) && (layer.bias === "none" || bias.length !== entries);
    inputs = layer.units;
    if (!badWeight && !badBias) return layer;
    const { init: _, ...rest } = layer;
    const kept = { ...(badWeight || weight === undefined ? {} : { weight }), ...(badBias || bias === undefined ? {} : { bias }) };
    return Object.keys(kept).length ? { ...rest, init: kept } : rest;
  });
  return { ...config, network: { ...config.network, layers } };
}

export type InlineData = { inputs?: unknown[][]; targets?: unknown[] } & Record<string, unknown>;

/** Whether data are rows in the config itself. */
export function isInline(data: Spec | null | undefined): data is InlineData & Exclude<Spec, string> {
  return typeof data === "object" && data !== null && typeOf(data) === "inline";
}

/** Rows as text, one a line: inputs, then targets. */
export function rowsAsText({ inputs = [], targets = [] }: InlineData): string {
  return inputs.map((row, i) => [...row, ...[targets[i] ?? []].flat()].join(", ")).join("\n");
}

/** Rows from such a text; `classes` when the one number after the inputs is the index of a class. What is no number is kept for the API to refuse. */
export function rowsFromText(text: string, inputs: number, classes: boolean): { inputs: unknown[][]; targets: unknown[] } {
  const rows = text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => line.split(/[\s,;]+/).filter(Boolean).map((cell) => numberOr(cell))); // prettier-ignore
  return {
    inputs: rows.map((row) => row.slice(0, inputs)),
    targets: rows.map((row) => (classes && row.length === inputs + 1 ? row[inputs] : row.slice(inputs))),
  };
}

const numberOr = (cell: string): unknown => (Number.isFinite(Number(cell.replaceAll("−", "-"))) ? Number(cell.replaceAll("−", "-")) : cell);

/** Whether a loss takes the index of a class as target. */
export const takesClasses = (loss: Spec): boolean => ["cross_entropy", "nll"].includes(typeOf(loss));
