/** The marks of the session on the screen, the stop that is shown, and going to another. */

import { computed, signal } from "@preact/signals";
import { lookAt, lookHere, standAt } from "../state/actions";
import { expired, history, looking, session, shape, snapshot, training } from "../state/model";
import { marksOf, placeAt, stopOf, stopsOf, type Mark } from "./stops";

/** A training under way has no revision yet. */
export const RUNNING = -1;

const finished = computed<Mark[]>(() => {
  const found = marksOf(history.value, shape.value?.layers.map(({ name }) => name) ?? []);
  if (found.length) return found;
  return [{ revision: 0, kind: "start", label: "start", says: "the start", stop: 0, stops: 1, from: 0, to: 0 }];
});

export const marks = computed<Mark[]>(() => {
  const now = training.value;
  if (!now) return finished.value;
  const from = now.from + 1;
  const to = now.from + now.epochsTotal;
  const running: Mark = {
    revision: RUNNING, kind: "block", label: "", says: "a training under way", stop: stopsOf(finished.value), stops: now.epochsTotal, from, to,
  }; // prettier-ignore
  return [...finished.value, running];
});

export const stops = computed(() => stopsOf(marks.value));

/** Where the session stands. */
export const standingStop = computed(() => stopOf(finished.value, history.value, { revision: session.value?.revision ?? 0 }));

/** The stop that is on its way to the screen: under the pointer, or reached by keys. */
const wished = signal<number | null>(null);

/** The stop on the screen. */
export const shownStop = computed(() => {
  const now = training.value;
  if (now) return stopsOf(finished.value) + Math.max(0, now.epoch - now.from - 1);
  if (wished.value !== null) return wished.value;
  const { revision, epoch } = looking.value ?? {};
  return stopOf(finished.value, history.value, { revision: revision ?? snapshot.value?.revision ?? 0, epoch });
});

/** Why there is no going anywhere, or null. */
export const stuck = computed(() =>
  !session.value ? "Nothing is done yet. Press Next first."
  : training.value ? "A training is under way. Pause it first."
  : expired.value ? "The session has expired." : null,
); // prettier-ignore

/** Look at a stop without standing there. */
export function preview(stop: number): void {
  if (stuck.value || stop === wished.value) return;
  wished.value = stop;
  void lookAt(placeAt(marks.value, stop));
}

/** Stand at the stop that is looked at. */
export async function settle(): Promise<void> {
  const stop = wished.value;
  if (stop === null) return;
  if (stop === standingStop.value || !(await standAt(placeAt(marks.value, stop)))) await lookHere();
  if (wished.value === stop) wished.value = null;
}

/** Look at where the session stands again. */
export async function letGo(): Promise<void> {
  if (wished.value === null) return;
  wished.value = null;
  await lookHere();
}

/** Stand at a revision. */
export function standAtMark({ revision }: Mark): void {
  if (!stuck.value) void standAt({ revision });
}

/** A stop in words: "revision 4, backward through hidden". */
export function inWords(stop: number): string {
  const mark = marks.value.findLast((one) => one.stop <= stop);
  if (!mark) return "not started";
  const epoch = mark.from + stop - mark.stop;
  if (mark.revision === RUNNING) return `training, epoch ${epoch} of ${mark.to}`;
  if (mark.kind === "block" && epoch < mark.to) return `epoch ${epoch} of ${mark.to}, on the way to revision ${mark.revision}`;
  return `revision ${mark.revision}, ${mark.says}`;
}
