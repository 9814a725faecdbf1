/** What just happened and what comes next, as a sentence: worked out from the state alone, so that it is right after Back, too. */

import { count, written, type Value } from "../numbers";
import { inWords, valueOf } from "../names";
import type { Looking, Training } from "../state/model";
import type { LayerShape, Shape } from "../state/shape";
import type { Label } from "../state/next";
import type { Revision, Snapshot, Stopped } from "../types";

/** Text; a number that can be selected, or a mere figure; a symbol; the words of the Next button; a sentence with them; text for where there is room. */
export type Part = string | { of: string; value: Value } | { figure: Value } | { symbol: string } | { next: string } | { then: string } | { more: string };

export interface Told {
  shape: Shape;
  snapshot: Snapshot;
  /** What the Next button says. */
  next: Label;
  history: Revision[];
  /** The session's newest revision. */
  latest: number;
  looking: Looking | null;
  training: Training | null;
  stopped: Stopped | null;
  expired: boolean;
  /** Whether the sheet of blanks asks for the next step's numbers. */
  checking: boolean;
  sample: number;
  samples: number;
}

const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/** `eight parameters`, `101 770 parameters`. */
export function many(number: number, one: string, more = `${one}s`): string {
  return `${WORDS[number] ?? count(number)} ${number === 1 ? one : more}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function narrate(told: Told): Part[] {
  const { snapshot, looking, training, stopped, expired, checking } = told;
  if (expired) return ["These are the last numbers of this session. ", { next: "Start again" }, " opens a new one with its parameters."];
  if (training) return trained(training, told);
  if (looking) return looked(looking, told);
  if (checking) return [...passed(told), " Work out the next step yourself: what you are asked for stays hidden in the graph until you answer."];
  if (stopped && stopped.reason !== "epochs") return [ended(stopped), ...thenNext(told)];
  if (stopped) return trainedTo(stopped.epoch, told);
  const standing = stood(told);
  if (standing) return standing;
  if (snapshot.phase === "ready") return ready(told);
  return [...passed(told), ...thenNext(told)];
} // prettier-ignore

/** What the pass that is under way has come to; nothing between steps. */
function passed(told: Told): Part[] {
  const { phase } = told.snapshot;
  return phase === "ready" ? [] : phase === "forward" ? forward(told) : backward(told);
}

/** The same sentence to be read out. */
export function spoken(parts: Part[]): string {
  return parts
    .map((part) => {
      if (typeof part === "string") return part;
      if ("next" in part) return part.next;
      if ("then" in part) return ` Next, ${part.then}.`;
      if ("more" in part) return part.more;
      if ("symbol" in part) return inWords(part.symbol);
      return written("of" in part ? part.value : part.figure);
    })
    .join("");
}

/** What comes next, as the button says it, which a phone shows below. */
const thenNext = ({ next }: Told): Part[] => [{ then: `${next.verb} ${next.rest}`.trim() }];

/** What changes a session without being a part of a training step. */
const CHANGES = new Set(["edit", "data", "optimizer"]);

function ready(told: Told): Part[] {
  const { snapshot, shape, history, next } = told;
  const last = history.find(({ revision }) => revision === snapshot.revision);
  if (last && CHANGES.has(last.operation)) return [`Done: ${last.label}.`, ...thenNext(told)];
  if (last?.operation === "fork") return [`A ${last.label}.`, ...thenNext(told)];
  if (snapshot.steps === 0) {
    return [`${described(shape)} Nothing is computed yet. Press `, { next: next.verb }, { more: " (or N)" }, " to run the first layer."];
  }
  if (last?.operation === "train") return trainedTo(last.epoch_to ?? snapshot.epochs, told);
  const loss: Part[] = snapshot.loss === null ? [] : ["; the loss was ", { of: "loss", value: snapshot.loss }];
  return [`${capital(many(trainable(shape), "parameter"))} took a step`, ...loss, ".", { more: " z, a and gradients on the screen are from before it." }, ...thenNext(told)];
} // prettier-ignore

function trainedTo(epoch: number, told: Told): Part[] {
  const loss: Part[] = told.snapshot.loss === null ? [] : [": the loss is ", { of: "loss", value: told.snapshot.loss }];
  return [`Trained to epoch ${count(epoch)}`, ...loss, ".", ...thenNext(told)];
}

/** "Two inputs, two hidden units, one output." */
function described({ inputs, layers }: Shape): string {
  const last = layers.at(-1)!;
  const inner = layers.slice(0, -1);
  const between = inner.length === 1 ? [many(inner[0]!.units, "hidden unit")]
    : inner.length ? [`${many(inner.length, "hidden layer")} of ${list(inner.map(({ units }) => String(units)))} units`] : []; // prettier-ignore
  return `${capital([many(inputs, "input"), ...between, many(last.units, "output")].join(", "))}.`;
}

const list = (words: string[]): string => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

const trainable = ({ layers }: Shape): number =>
  layers.reduce((sum, layer) => sum + (layer.trainable ? layer.units * layer.inputs + biases(layer) : 0), 0);
const biases = ({ bias, units }: LayerShape): number => (bias === "none" ? 0 : bias === "shared" ? 1 : units);

const LISTED = 2;

/** Up to two numbers by themselves, more of them by their count. */
function numbers({ snapshot, sample }: Told, layer: LayerShape, quantity: string, what: [string, string]): Part[] {
  if (layer.units > LISTED) return [many(layer.units, ...what)];
  const parts = Array.from({ length: layer.units }, (_, k) => numbered(`${layer.name}.${quantity}[${sample}][${k}]`, snapshot, sample));
  return [`${what[layer.units === 1 ? 0 : 1]} `, ...parts.flatMap((part, k): Part[] => (k ? [" and ", part] : [part]))];
}

const numbered = (of: string, snapshot: Snapshot, sample: number): Part => ({ of, value: valueOf(snapshot, of, sample) });

function forward(told: Told): Part[] {
  const { shape: { layers }, snapshot, sample, samples } = told; // prettier-ignore
  const step = snapshot.next;
  const at = step.operation === "forward" ? layers.findIndex(({ name }) => name === step.layer) - 1 : layers.length - 1;
  const layer = layers[at] ?? layers.at(-1)!;
  const last = layer === layers.at(-1);
  const loss: Part[] = last && snapshot.loss !== null ? [`, loss `, { of: "loss", value: snapshot.loss }] : [];
  if (samples > 1) {
    return [`Forward through ${layer.name}: ${many(layer.units, "activation")} for each of ${count(samples)} samples`, ...(loss.length ? [", the mean loss is ", loss[1]!] : []), "."];
  }
  const made = numbers(told, layer, "a", last ? ["prediction", "predictions"] : ["activation", "activations"]);
  const target = `targets[${sample}][0]`;
  const known = last && layer.units === 1 && typeof valueOf(snapshot, target, sample) === "number";
  return [`Forward through ${layer.name}: `, ...made, ...(known ? [", target ", numbered(target, snapshot, sample)] : []), ...loss, "."];
} // prettier-ignore

function backward(told: Told): Part[] {
  const { shape: { layers }, snapshot, sample, samples } = told; // prettier-ignore
  const step = snapshot.next;
  const at = step.operation === "backward" ? layers.findIndex(({ name }) => name === step.layer) + 1 : 0;
  const layer = layers[at] ?? layers[0]!;
  const after = layers[at + 1];
  const all: Part[] = step.operation === "step" ? [{ more: " Every gradient is known." }] : [];
  const own = many(layer.units * layer.inputs + biases(layer), "gradient");
  const through = `Backward through ${layer.name}: `;
  if (samples > 1) return [through, `${own}, over ${many(samples, "sample")}.`, ...all];
  if (!after) {
    const errors = layer.units > LISTED ? [many(layer.units, "value")] : numbers(told, layer, "dL_dz", ["", ""]).slice(1);
    return [through, "∂L/∂z ", ...errors, { more: `, and from it ${own}` }, ".", ...all];
  }
  if (after.units > 1) return [through, `${many(after.units, "error")} came back along ${many(after.units * after.inputs, "weight")}.`, ...all];
  const error = numbered(`${after.name}.dL_dz[${sample}][0]`, snapshot, sample);
  const ways = Array.from({ length: after.inputs }, (_, k): Part => ({ symbol: `${after.name}.weight[0][${k}]` }));
  const along: Part[] = ways.length > LISTED ? [many(ways.length, "weight")] : ways.flatMap((way, k): Part[] => (k ? [" and ", way] : [way]));
  return [through, "the error ", error, " came back along ", ...along, ".", ...all];
} // prettier-ignore

function trained({ epoch, from, epochsTotal, firstLoss, loss, testLoss, pausing }: Training, { shape }: Told): Part[] {
  if (firstLoss === null || loss === null) return [`Training ${many(shape.parameters, "parameter")} for ${many(epochsTotal, "epoch")}.`];
  const test: Part[] = testLoss === null ? [] : ["; the test loss is ", { figure: testLoss }];
  return [
    pausing ? "Pausing. In " : "Training. In ",
    `${many(epoch - from, "epoch")} the loss went from `,
    { figure: firstLoss },
    " to ",
    { figure: loss },
    ...test,
    ".",
  ];
}

/** What is read out of a training: its start, and each tenth of it. */
export function progress(training: Training): string {
  const { epoch, from, epochsTotal, loss } = training;
  const tenth = Math.floor((10 * (epoch - from)) / epochsTotal);
  if (tenth < 1 || loss === null) return `Training for ${many(epochsTotal, "epoch")}.`;
  return `${10 * tenth}% of the training is done.`;
}

/** "Stopped at epoch 240: loss below 0.02." */
export function ended({ reason, epoch, tensor, threshold, actual }: Stopped): string {
  const limit = threshold === null ? "" : ` ${Number(threshold.toPrecision(4))}`;
  const WHY: Partial<Record<Stopped["reason"], string>> = {
    loss_below: `loss below${limit}`,
    plateau: `the loss stays where it is`,
    gradient_norm_above: `gradient norm above${limit}`,
    gradient_norm_below: `gradient norm below${limit}`,
    saturated_units_above: `too many saturated units${tensor ? ` in ${tensor}` : ""}`,
    dead_units_above: `too many dead units${tensor ? ` in ${tensor}` : ""}`,
    update_ratio_above: `updates too large for the weights${tensor ? ` of ${tensor}` : ""}`,
    parameter_outside: `${tensor ?? "a parameter"} is ${written(typeof actual === "number" ? actual : null)}, outside its bounds`,
    nonfinite: `${tensor ?? "the loss"} is not a finite number; this is the last good state`,
    expression: "the condition holds",
    cancelled: "paused",
    disconnected: "the connection ended",
    time_limit: "the time limit was reached",
  };
  const why = WHY[reason];
  return `Stopped at epoch ${count(epoch)}: ${why ?? "all is done"}.`;
}

function looked({ revision, epoch, by }: Looking, { snapshot, latest, next }: Told): Part[] {
  const place = epoch !== undefined ? `epoch ${count(epoch)}` : `revision ${count(revision ?? snapshot.revision)} of ${count(latest)}`;
  if (by === "drag") return [`Looking at ${place}. Let go, or press Enter, to stand there.`];
  return [`This is a look at ${place}; nothing is changed. `, { next: next.verb }, " goes on from here."];
}

/** In the past, where later revisions or epochs are still there. */
function stood({ snapshot, history, latest }: Told): Part[] | null {
  const here = history.find(({ revision }) => revision === snapshot.revision);
  if (here?.operation === "rewind") {
    const furthest = Math.max(...history.filter(({ revision }) => revision <= here.revision).map(({ epochs }) => epochs));
    return [`Standing at epoch ${count(snapshot.epochs)} of ${count(furthest)}. What came after stays; the next step goes on from here.`];
  }
  if (snapshot.revision < latest) {
    return [`Standing at revision ${count(snapshot.revision)} of ${count(latest)}. The next step replaces what came after; Fork keeps both.`];
  }
  return null;
}
