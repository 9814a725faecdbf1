/** The other session of a comparison, B, and what is done with both. A is the page's own session. */

import { batch, effect, signal, untracked } from "@preact/signals";
import { ask, call, stream, url } from "../client";
import { narrowed, openSession, path, pressBack, pressWholeStep, when } from "../state/actions";
import { comparedWith, history, selection, session, snapshot, training } from "../state/model";
import { longer, pause, train, trainOptions } from "../state/training";
import { Film, FRAMES } from "../state/film";
import { reducedMotion } from "../state/settings";
import { attempt, report } from "../state/troubles";
import type { Comparison, Curves, Entry, Revision, Run, Session, Snapshot } from "../types";

/** Which of the two forked from the other, and where. */
export interface Forked {
  child: "A" | "B";
  epoch: number;
}
export interface Other {
  session: Session;
  snapshot: Snapshot;
  curves: Curves;
  forked: Forked | null;
  /** Where its own past begins: a fork's does not reach back before the fork. */
  first: Revision | undefined;
}

export const other = signal<Other | null>(null);
/** B's differences from A. */
export const difference = signal<Comparison | null>(null);
/** On which of them the stepper acts. */
export const acting = signal<"a" | "b" | "both">("both");
/** B's training under way. */
export const trainingB = signal<{ run: string; pausing: boolean } | null>(null);

const pathB = (rest = ""): string => `/v1/sessions/${comparedWith.value}${rest}`;

// Read anew when A has changed, or another B is chosen; while they train, what is on the screen stays.
effect(() => {
  const id = comparedWith.value;
  if (!id) {
    batch(() => {
      other.value = null;
      difference.value = null;
    });
    return;
  }
  if (!session.value || !snapshot.value || training.value || trainingB.value) return;
  untracked(() => void load(id));
});

let asked = 0;
async function load(id: string): Promise<void> {
  const mine = ++asked;
  const here = `/v1/sessions/${id}`;
  const a = session.value!;
  const { revision, epoch } = when();
  try {
    const [found, numbers, curves, differs, past] = await Promise.all([
      call<Session>("GET", here),
      call<Snapshot>("GET", url(`${here}/snapshot`, { ...narrowed(), samples: undefined })),
      call<Curves>("GET", `${here}/curves`),
      call<Comparison>("GET", url(`${here}/diff`, { against: a.id, against_revision: revision, against_epoch: epoch })),
      call<{ items: Revision[] }>("GET", url(`${here}/history`, { limit: 1 })),
    ]);
    const forked = await forkOf(a, found);
    if (mine !== asked || comparedWith.value !== id) return;
    batch(() => {
      other.value = { session: found, snapshot: numbers, curves, forked, first: past.items[0] };
      difference.value = differs;
    });
  } catch (error) {
    if (mine === asked) report(error, "compare");
  }
}

async function forkOf(a: Session, b: Session): Promise<Forked | null> {
  const child = b.forked_from?.session === a.id ? "B" : a.forked_from?.session === b.id ? "A" : null;
  if (!child) return null;
  const from = (child === "B" ? b : a).forked_from!;
  if (from.epoch !== null) return { child, epoch: from.epoch };
  const found = child === "B" ? history.value.find(({ revision }) => revision === from.revision) : await revisionOf(b.id, from.revision);
  return found ? { child, epoch: found.epochs } : null;
}

async function revisionOf(id: string, revision: number): Promise<Revision | undefined> {
  const { items } = await call<{ items: Revision[] }>("GET", url(`/v1/sessions/${id}/history`, { after: revision - 1, limit: 1 }));
  return items.find((one) => one.revision === revision);
}

/** Whether something is under way with either of them. */
export const underWay = (): string | null => (training.value || trainingB.value ? "A training is under way. Pause it first." : null);

/** Why nothing can be done with them yet, or now; until B is here, a key would move A alone. */
export const unready = (): string | null => underWay() ?? (other.value ? null : "Computing…");

/** Train A, B or both, so many epochs each; their curves grow side by side. */
export function trainCompared(): void {
  if (!unready()) void trainThem();
}

async function trainThem(): Promise<void> {
  const whom = acting.value;
  if (whom !== "b" && !(await train())) return;
  if (whom !== "a") await trainB(whom === "both");
}

/** Train B. `inStep`: its curve grows with A's, however fast either is computed, and one pause stops both. */
async function trainB(inStep: boolean): Promise<void> {
  const before = other.value?.session;
  if (!before) return;
  const from = training.value?.from ?? session.value!.epochs;
  const waiting: Entry[] = [];
  /** The last epoch that may be shown; A's, where they keep step. */
  let reached = inStep ? before.epochs : Infinity;
  /** A was paused, perhaps before B had begun. */
  let withA = false;
  const film = new Film<Entry>(draw, () => trainingB.value?.pausing !== false, reducedMotion);
  const show = () => {
    const many = waiting.findIndex(({ epoch }) => epoch > reached);
    const due = waiting.splice(0, many < 0 ? waiting.length : many);
    if (!inStep) due.forEach((entry) => film.add(entry));
    else if (due.length) draw(due);
  };
  const unwatch = effect(() => {
    const [a, b] = [training.value, trainingB.value];
    if (!inStep) return;
    untracked(() => {
      if (a) reached = before.epochs + a.epoch - a.from;
      else if (!withA && !b?.pausing) reached = Infinity;
      withA ||= a?.pausing ?? false;
      if (withA) void pauseB();
      else show();
    });
  });
  try {
    const run = await beginB();
    for await (const event of stream(`/v1/sessions/${run.session}/runs/${run.id}`)) {
      if (event.event !== "epoch") continue;
      waiting.push(event);
      show();
    }
    while (waiting.length && !trainingB.value?.pausing) await nextFrame();
    await film.shown();
    if (!trainingB.value?.pausing) return;
    while (withA && training.value) await nextFrame(); // where A stands is known then
    const shown = withA ? before.epochs + session.value!.epochs - from : (other.value?.session.epochs ?? before.epochs);
    if (comparedWith.value === run.session) await standWhere(shown, before);
  } catch (error) {
    report(error, "compare");
  } finally {
    unwatch();
    trainingB.value = null;
  }
}

/** After a pause, B stands at the epoch that was on the screen, though more were computed by then, or fewer where it began late. */
async function standWhere(shown: number, { epochs, revision }: Session): Promise<void> {
  const after = await call<Session>("GET", pathB());
  if (shown > after.epochs) await call("POST", pathB("/train"), { body: { ...trainOptions.value, epochs: shown - after.epochs } });
  if (shown < after.epochs) await call("POST", pathB("/rewind"), { body: shown > epochs ? { epoch: shown } : { revision } });
}

const nextFrame = () => new Promise(requestAnimationFrame);

async function beginB(): Promise<Run> {
  const options = trainOptions.value;
  const body = { ...options, report_every: options.report_every ?? Math.ceil(options.epochs / FRAMES) };
  const run = await call<Run>("POST", pathB("/train"), { body, headers: { Prefer: "respond-async" } });
  trainingB.value = { run: run.id, pausing: false };
  return run;
}

function draw(entries: Entry[]): void {
  const now = other.value;
  const last = entries.at(-1)!;
  if (now) other.value = { ...now, curves: longer(now.curves, entries), session: { ...now.session, epochs: last.epoch, loss: last.loss } };
}

async function pauseB(): Promise<void> {
  const now = trainingB.value;
  if (!now || now.pausing) return;
  trainingB.value = { ...now, pausing: true };
  try {
    await ask("DELETE", pathB(`/runs/${now.run}?at=epoch`));
  } catch (error) {
    report(error, "compare");
  }
}

export function pauseCompared(): void {
  void pause();
  void pauseB();
}

/** What the teal button does. */
export function pressCompared(): void {
  if (training.value || trainingB.value) pauseCompared();
  else trainCompared();
}

/** The rest of a training step, of A, B or both. */
export function stepCompared(): void {
  if (unready()) return;
  if (acting.value !== "a") void withB(stepB);
  if (acting.value !== "b") pressWholeStep();
}

async function stepB(): Promise<void> {
  const { operation } = other.value!.session.next;
  if (operation === "forward") await call("POST", pathB("/forward"), { body: {} });
  if (operation !== "step") await call("POST", pathB("/backward"), { body: {} });
  await call("POST", pathB("/step"), { body: {} });
}

/** One revision back, of A, B or both. */
export function backCompared(): void {
  if (unready()) return;
  if (acting.value !== "a") void withB(backB);
  if (acting.value !== "b") pressBack();
}

async function backB(): Promise<void> {
  const at = other.value!.session.revision;
  const { items } = await call<{ items: Revision[] }>("GET", url(pathB("/history"), { limit: 1000, after: Math.max(0, at - 1000) - 1 }));
  const before = items.findLast(({ revision }) => revision < at);
  if (before) await call("POST", pathB("/rewind"), { body: { revision: before.revision } });
}

/** Stand at the end of an epoch with both; one that has not come so far, or began later, as near to it as it can. */
export function standBoth(epoch: number): void {
  const b = other.value;
  if (!b || underWay()) return;
  void attempt("timeline", async () => {
    await Promise.all([
      call("POST", path("/rewind"), { body: placeAt(epoch, history.value[0], session.value!) }),
      call("POST", pathB("/rewind"), { body: placeAt(epoch, b.first, b.session) }),
    ]);
    await openSession(session.value!.id);
  });
}

/** The place in a session's own past that is nearest to an epoch. */
export function placeAt(epoch: number, first: Pick<Revision, "revision" | "epochs"> | undefined, { epochs }: Pick<Session, "epochs">) {
  return first && epoch <= first.epochs ? { revision: first.revision } : { epoch: Math.min(epoch, epochs) };
}

async function withB(work: () => Promise<void>): Promise<void> {
  if (!other.value) return;
  try {
    await work();
    await load(other.value.session.id);
  } catch (error) {
    report(error, "compare");
  }
}

/** B takes the page, and A its place. */
export function swap(): void {
  const [a, b] = [session.value?.id, comparedWith.value];
  if (!a || !b || underWay()) return;
  void attempt("swap", async () => {
    const kept = selection.value;
    await openSession(b);
    selection.value = kept;
    comparedWith.value = a;
  });
}

/** End the comparison, with one of the two on the page. */
export function openAlone(id: string): void {
  if (id === session.value?.id) comparedWith.value = null;
  else void attempt("swap", () => openSession(id));
}

/** A's epoch on the screen. */
export const epochA = (): number => training.value?.epoch ?? session.value?.epochs ?? 0;

/** The epochs that both can be looked at together: to the end of the longer. */
export const lastEpoch = (): number => Math.max(epochA(), other.value?.session.epochs ?? 0);
