/** The API's own types, under the names that the page uses. */

import type { components } from "./api";

type Schemas = components["schemas"];

export type Session = Omit<Schemas["SessionSchema"], "config"> & { config: Config };
export type SessionItem = Schemas["SessionItemSchema"];
export type Snapshot = Schemas["SnapshotSchema"];
export type Layer = Schemas["LayerSchema"];
export type Next = Schemas["Next"];
export type Operation = "forward" | "backward" | "step" | "train";
export type Revision = Schemas["RevisionSchema"];
export type Curves = Schemas["CurvesSchema"];
export type Entry = Schemas["Entry"];
export type Run = Schemas["RunSchema"];
export type Stopped = Schemas["StoppedSchema"];
export type Explanation = Schemas["ExplanationJson"];
export type Factor = Schemas["FactorJson"];
export type Path = Schemas["PathJson"];
export type Written = Schemas["Written"];
export type Problem = Schemas["Problem"];
export type Prediction = Schemas["PredictionSchema"];
export type Verified = Schemas["Verified"];
export type Preview = Schemas["PreviewSchema"];
export type Summary = Schemas["Summary"];
export type Comparison = Schemas["ComparisonSchema"];
export type Rows = Schemas["DataSchema"];
export type Catalog = Schemas["CatalogSchema"];
export type Kind = Schemas["KindSchema"];
export type Preset = Omit<Schemas["PresetSchema"], "config"> & { config: Config };
export type Warned = Schemas["Warned"];

/** Something with a `type` and options, or the type alone. */
export type Spec = string | ({ type?: string } & Record<string, unknown>);

export interface LayerConfig {
  name?: string;
  units: number;
  activation?: Spec;
  bias?: "per_unit" | "shared" | "none";
  trainable?: boolean;
  init?: { weight?: unknown; bias?: unknown };
}

/** A session's config, as it is posted, or as it is answered with everything filled in. */
export interface Config {
  name?: string | null;
  network: { inputs: number; layers: LayerConfig[] };
  loss: Spec;
  optimizer: Spec;
  data?: Spec | null;
  seed?: number;
  dtype?: "float64" | "float32";
}

/** What `train` takes. */
export interface TrainOptions {
  epochs: number;
  batch_size?: number;
  shuffle?: boolean;
  report_every?: number;
  stop?: ({ type: string } & Record<string, unknown>)[];
}

/** A network's answers to a grid of inputs, which a stream's entry brings. */
export interface Probe {
  outputs: (number | null)[][];
  layers?: { name: string; a: (number | null)[][] }[];
}

/** What a stream of a training sends. */
export type StreamEvent =
  | ({ event: "epoch"; probe?: Probe } & Entry & Partial<Pick<Snapshot, "inputs" | "targets" | "outputs" | "layers" | "health" | "nonfinite" | "omitted">>)
  | { event: "end"; stopped: Stopped; snapshot: Snapshot }
  | { event: "failed"; problem: Problem };
