/** What a press on Next does, in words; and one training step as stations, for the rail. */

import { computed } from "@preact/signals";
import { count } from "../numbers";
import type { Next, Revision } from "../types";
import { expired, looking, next, panel, shape, snapshot, tab, training } from "./model";
import { biasEntries, type Shape } from "./shape";
import { phone } from "./width";

/** A label's bold word and the rest of it. */
export interface Label {
  verb: string;
  rest: string;
}

/** How many numbers an update of these parameters changes. */
export function entriesOf(parameters: string[], { layers }: Shape): number {
  return parameters.reduce((sum, name) => {
    const dot = name.lastIndexOf(".");
    const layer = layers.find((one) => one.name === name.slice(0, dot));
    if (!layer) return sum;
    return sum + (name.endsWith(".weight") ? layer.units * layer.inputs : biasEntries(layer));
  }, 0);
}

/** "Forward through hidden", "Update 8 parameters". */
export function labelOf(step: Next, network: Shape): Label {
  if (step.operation === "step") {
    const entries = entriesOf(step.parameters ?? [], network);
    return { verb: "Update", rest: `${count(entries)} ${entries === 1 ? "parameter" : "parameters"}` };
  }
  return { verb: step.operation === "forward" ? "Forward" : "Backward", rest: `through ${step.layer}` };
}

export const nextLabel = computed<Label>(() => {
  if (expired.value) return { verb: "Start again", rest: "" };
  if (training.value) return { verb: "Pause", rest: "after this epoch" };
  if (looking.value?.by === "link") return { verb: "Continue", rest: `from revision ${snapshot.value?.revision ?? 0}` };
  if (!next.value || !shape.value) return { verb: "Forward", rest: "" };
  return labelOf(next.value, shape.value);
});

/** Whether a person checks their own working: then "Check" is the one filled button, and not Next. */
export const checking = computed(() => panel.value === "check" && (!phone.value || tab.value === "check"));

export interface Station {
  operation: "forward" | "backward" | "step";
  /** Null for the update. */
  layer: string | null;
  label: string;
  status: "done" | "last" | "next" | "todo";
}

/** The stations of one training step, in order; `last` is the one that was done last. */
export function stationsOf({ layers }: Shape, step: Next, started: boolean): Station[] {
  const places: Omit<Station, "status">[] = [
    ...layers.map(({ name }, i) => ({
      operation: "forward" as const,
      layer: name,
      label: i === layers.length - 1 ? `${name}, loss` : name,
    })),
    ...layers.toReversed().map(({ name }) => ({ operation: "backward" as const, layer: name, label: name })),
    { operation: "step" as const, layer: null, label: "parameters" },
  ];
  const at = places.findIndex(
    ({ operation, layer }) => operation === step.operation && (operation === "step" || layer === step.layer),
  );
  return places.map((place, i) => {
    const last = at === 0 ? started && i === places.length - 1 : i === at - 1;
    return { ...place, status: i === at ? "next" : last ? "last" : i < at ? "done" : "todo" };
  });
}

export const stations = computed<Station[]>(() =>
  shape.value && next.value ? stationsOf(shape.value, next.value, (snapshot.value?.steps ?? 0) > 0) : [],
);

/** The revision at which a station of the step under way was passed; undefined where a longer call ran through it. `past` is up to where the session stands. */
export function revisionOf({ operation, layer }: Pick<Station, "operation" | "layer">, past: Revision[], { layers }: Shape): number | undefined {
  if (operation === "step") return past.findLast((one) => one.operation === "step")?.revision;
  const last = operation === "forward" ? layers.at(-1)!.name : layers[0]!.name;
  const start = startOf(past);
  return past.findLast((one) => one.revision > start && one.operation === operation && (one.arguments.until ?? last) === layer)?.revision;
}

/** The revision at which the step under way began. */
export function startOf(past: Revision[]): number {
  return past.findLast(({ phase }) => phase === "ready")?.revision ?? 0;
}

/** Why an operation cannot be called now, or null where it can. */
export function missing(operation: "forward" | "backward" | "step" | "train"): string | null {
  if (expired.value) return "The session has expired. Start again first.";
  if (training.value) return "A training is under way. Pause it first.";
  if (looking.value?.by === "link") return "This is a look into the past. Continue from here first.";
  if (snapshot.value?.allowed.includes(operation) ?? operation === "forward") return null;
  return operation === "backward" ? "There is no loss yet. Run Forward first." : "There are no gradients yet. Run Backward first.";
}
