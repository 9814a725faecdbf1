/** Trainings: begun as runs, read as streams, and drawn an epoch a frame, so that even a fast one can be watched. */

import { batch, signal } from "@preact/signals";
import { ask, call, stream, url } from "../client";
import type { Curves, Entry, Problem, Run, Snapshot, StreamEvent, TrainOptions } from "../types";
import { apply, ensure, narrowed, path, refresh, refreshCurves, refreshHistory, refreshSnapshot } from "./actions";
import { curves, fitsGraph, history, justDone, lastCall, open, rowCount, sample, session, shape, snapshot, stopped, training, trouble } from "./model";
import { Film } from "./film";
import { DECIMALS, entryNumbers, liveOf } from "./live";
import { drawsUnits, probeInputs, showProbe } from "./plane";
import { reducedMotion } from "./settings";
import { stopWords } from "./stops";
import { attempt, explained, report } from "./troubles";

/** What the T key trains, and how: kept while the page is open. */
export const trainOptions = signal<TrainOptions>({ epochs: 100 });

/** What each entry shows of the network. */
const LIVE = "activations,gradients,parameters,health";

/** Train for so many epochs, or until something happens. Answers whether it was begun. */
export async function train(options: TrainOptions = trainOptions.value): Promise<boolean> {
  if (training.value) return false;
  const done = await attempt(options.stop?.length ? "until" : "train", async () => {
    await ensure();
    const inputs = probeInputs();
    const units = drawsUnits.value;
    const { reportEvery, pictured } = liveOf(options, entryNumbers(shape.value!, inputs?.length ?? 0, units, fitsGraph.value));
    const body = { ...options, report_every: reportEvery };
    const probe = inputs && pictured ? { probe: { inputs, include: units ? ["activations"] : [] } } : {};
    const headers = { Prefer: "respond-async", "If-Match": `"${session.value!.revision}"` };
    const samples = rowCount.value > 1 ? "0:1" : undefined;
    const shown = pictured ? { samples, include: fitsGraph.value ? LIVE : "activations,health", decimals: DECIMALS } : {};
    const begun = await call<Run>("POST", url(path("/train"), shown), { body: { ...body, ...probe }, headers });
    lastCall.value = { method: "POST", path: path("/train"), body };
    void follow(begun, stopWords(options.stop)); // from here on a press of Next is one of Pause
  });
  if (done) open.value = null;
  return done;
}

/** End the training when the epoch on the screen is done, and stand there. */
export async function pause(): Promise<void> {
  const now = training.value;
  if (!now || now.pausing) return;
  training.value = { ...now, pausing: true };
  try {
    await ask("DELETE", path(`/runs/${now.run}?at=epoch`));
  } catch (error) {
    if (training.value?.run === now.run) training.value = { ...training.value, pausing: false };
    report(error, "next");
  }
}

let followed = 0;
/** Watch a run to its end: its entries one a frame, then the state that it left. */
export async function follow(run: Run, stop = ""): Promise<void> {
  const here = session.value!;
  const mine = ++followed;
  const watching = () => mine === followed && session.value?.id === here.id && training.value !== null;
  batch(() => {
    sample.value = 0; // entries show the first of a batch
    stopped.value = null;
    justDone.value = null;
    history.value = history.value.filter(({ revision }) => revision <= here.revision); // the run is in the place of what came after
    training.value = {
      run: run.id, epochsTotal: run.epochs_total, from: here.epochs, epoch: here.epochs, firstLoss: null, loss: null, testLoss: null,
      stop, pausing: false,
    }; // prettier-ignore
  });
  const film = new Film(draw, () => !watching() || training.value!.pausing, reducedMotion);
  const read = url(path(`/runs/${run.id}`), narrowed());
  try {
    let first: Drawn | undefined;
    let last: StreamEvent | undefined;
    for await (const event of stream(read)) {
      if (!watching()) return;
      if (event.event !== "epoch") last = event;
      else {
        first ??= event;
        film.add(event);
      }
    }
    await film.shown();
    if (!watching()) return;
    if (first && !film.last) draw([first]); // paused before there was a frame
    if (last?.event === "end") await end(here.revision, last, film.last?.epoch ?? first?.epoch ?? Infinity);
    else await fail(last?.event === "failed" ? last.problem : undefined);
    if (read !== url(path(`/runs/${run.id}`), narrowed())) await refreshSnapshot();
  } catch (error) {
    if (mine !== followed || session.value?.id !== here.id) return;
    training.value = null;
    report(error, null);
  }
}

/** Show the state that a training left. Paused at an epoch that the server was already past, the session goes back there. */
async function end(before: number, { snapshot: left, stopped: why }: Ended, shown: number): Promise<void> {
  let after = left;
  let how = why;
  if (training.value!.pausing && shown < left.epochs) {
    const body = { epoch: shown };
    after = await call<Snapshot>("POST", url(path("/rewind"), narrowed()), { body });
    how = { ...why, reason: "cancelled", epoch: shown, step: after.steps };
    lastCall.value = { method: "POST", path: path("/rewind"), body };
  }
  batch(() => {
    training.value = null;
    apply(after);
    stopped.value = how;
  });
  await Promise.all([refreshHistory(before), refreshCurves()]);
}

async function fail(problem: Problem | undefined): Promise<void> {
  training.value = null;
  await refresh();
  trouble.value = problem
    ? explained(problem, "train")
    : { kind: "refused", title: "The training broke off.", detail: "The training broke off. This is the state that it left.", at: "train" };
}

type Drawn = Extract<StreamEvent, { event: "epoch" }>;
type Ended = Extract<StreamEvent, { event: "end" }>;

function draw(entries: Drawn[]): void {
  const last = entries.at(-1)!;
  const { epoch, steps, loss, test_loss: testLoss = null, probe } = last;
  batch(() => {
    const now = training.value!;
    training.value = { ...now, epoch, firstLoss: now.firstLoss ?? entries[0]!.loss, loss, testLoss };
    curves.value = longer(curves.value, entries);
    if (snapshot.value && last.layers) snapshot.value = { ...snapshot.value, ...networkOf(last), epochs: epoch, steps, loss };
    if (probe) showProbe(probe);
  });
}

/** The parts of a snapshot that an entry holds. */
function networkOf({ inputs, targets, outputs, layers, health, nonfinite, omitted }: Drawn): Partial<Snapshot> {
  const parts = { inputs, targets, outputs, layers, health, nonfinite, omitted };
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined));
}

const COLUMNS = ["epoch", "steps", "loss", "test_loss", "accuracy", "test_accuracy", "gradient_norm", "learning_rate"] as const;

/** Curves with more entries, in the place of what came after. A column that only the entries have begins with gaps. */
export function longer(before: Curves | null, entries: readonly Entry[]): Curves {
  const had: Partial<Record<string, (number | null)[]>> = before ? { ...before } : {};
  const from = before?.epoch.findIndex((epoch) => epoch >= entries[0]!.epoch) ?? 0;
  const kept = before ? (from < 0 ? before.epoch.length : from) : 0;
  const columns: Record<string, (number | null)[]> = {};
  for (const name of COLUMNS) {
    if (had[name] === undefined && entries.every((entry) => entry[name] === undefined)) continue;
    const column = had[name]?.slice(0, kept) ?? Array<null>(kept).fill(null);
    columns[name] = [...column, ...entries.map((entry) => entry[name] ?? null)];
  }
  return columns as unknown as Curves;
}
