/** One training step told as a lesson: what each press does, in a sentence. */

import type { Station } from "../state/next";
import { called, type LayerShape, type Shape } from "../state/shape";

export interface Step {
  title: string;
  text: string;
  status: "done" | "next" | "todo";
}

/** Steps that a lesson has at most; in a deeper network the layers between first and last are told as one. */
const MOST_STEPS = 7;

export function stepsOf(stations: readonly Station[], { layers }: Shape): Step[] {
  const ends = [layers[0]!.name, layers.at(-1)!.name];
  const folds = ({ operation, layer }: Station) => stations.length > MOST_STEPS && operation !== "step" && !ends.includes(layer!);
  const groups: Station[][] = [];
  for (const station of stations) {
    const group = groups.at(-1);
    const joins = group && folds(station) && folds(group[0]!) && group[0]!.operation === station.operation;
    if (joins) group.push(station);
    else groups.push([station]);
  }
  return groups.map((group) => (group.length > 1 ? foldedStep(group) : stepOf(group[0]!, layers)));
}

function foldedStep(group: Station[]): Step {
  const all = group.map(statusOf);
  const status = all.every((one) => one === all[0]) ? all[0]! : "next";
  return { title: `${verb(group[0]!)} through ${group.length} layers more`, text: "The same, layer by layer.", status };
}

function stepOf(station: Station, layers: LayerShape[]): Step {
  const status = statusOf(station);
  if (station.operation === "step") return { title: "Update", text: "Each parameter takes one step against its gradient.", status };
  const at = layers.findIndex(({ name }) => name === station.layer);
  const text = station.operation === "forward" ? forwardText(at, layers) : backwardText(at, layers);
  return { title: `${verb(station)} through ${station.layer}`, text, status };
}

const statusOf = ({ status }: Station) => (status === "last" ? "done" : status);
const verb = ({ operation }: Station) => (operation === "forward" ? "Forward" : "Backward");

function forwardText(at: number, layers: LayerShape[]): string {
  const isLast = at === layers.length - 1;
  if (isLast && at > 0) return "The prediction, and how wrong it is: the loss L.";
  const { bias, activation } = layers[at]!;
  const plus = bias === "none" ? "" : ", plus the bias";
  const then = activation === "identity" ? "" : `, then the ${called(activation)}`;
  return `${at === 0 ? "Inputs" : "Activations"} times weights${plus}${then}${isLast ? "; and the loss L" : ""}.`;
}

function backwardText(at: number, layers: LayerShape[]): string {
  return at === layers.length - 1 ? "How much L changes with each number: its gradient." : "The same, one layer earlier, by the chain rule.";
}
