/** The sheet of blanks: what was typed into it, and what the API says of that. */

import { computed, signal } from "@preact/signals";
import { call, url } from "../../client";
import { entry } from "../../names";
import { withMinus, type Value } from "../../numbers";
import { ensure, path, when } from "../../state/actions";
import { next, revision, rowCount, rows, sample, session, shape, snapshot } from "../../state/model";
import { attempt } from "../../state/troubles";
import type { Verified } from "../../types";
import { typed } from "../typed";
import { blanksFor, wholeStep, type Batch, type Group } from "./blanks";
import { decimalsOf, merged, type Cause, type Status } from "./merged";

export type { Cause, Status };

/** Whether the next step is asked for, or all of one. */
export const extent = signal<"next" | "whole">("next");

/** Where the session stands: answers are for one place. */
const place = computed(() => [session.value?.id, revision.value, extent.value, sample.value].join());

interface Filled {
  place: string;
  texts: ReadonlyMap<string, string>;
}

interface Graded {
  place: string;
  /** What was typed and how it was graded, by the name of the number. */
  marks: ReadonlyMap<string, { text: string; status: Status }>;
  firstWrong: string | null;
  cause: Cause | null;
}

const NOTHING: ReadonlyMap<string, string> = new Map();
const filled = signal<Filled>({ place: "", texts: NOTHING });
const graded = signal<Graded | null>(null);
const expected = signal<{ place: string; values: ReadonlyMap<string, Value> } | null>(null);

export const batchOf = computed<Batch>(() => ({
  sample: sample.value,
  samples: rowCount.value,
  targets: rows.value !== null || snapshot.value?.targets !== null,
}));

export const groups = computed<Group[]>(() => {
  if (!shape.value || !next.value) return [];
  return blanksFor(extent.value === "whole" ? wholeStep(shape.value) : [next.value], shape.value, batchOf.value);
});

export const blanks = computed(() => groups.value.flatMap(({ rows }) => rows.flatMap(({ entries }) => entries)));

/** What stands in the fields. */
export const texts = computed(() => (filled.value.place === place.value ? filled.value.texts : NOTHING));

/** The grades of what still stands as it was graded. */
export const marks = computed<ReadonlyMap<string, Status>>(() => {
  if (graded.value?.place !== place.value) return new Map();
  const kept = [...graded.value.marks].filter(([name, { text }]) => texts.value.get(name) === text);
  return new Map(kept.map(([name, { status }]) => [name, status]));
});

/** The number that the likely cause explains, while it stands as it was graded. */
export const firstWrong = computed(() => {
  const name = graded.value?.firstWrong ?? null;
  return name !== null && marks.value.get(name) === "wrong" ? name : null;
});
export const cause = computed(() => (firstWrong.value === null ? null : graded.value!.cause));

/** The right values, while they are shown. */
export const answers = computed(() => (expected.value?.place === place.value ? expected.value.values : null));

export const isRight = (status: Status | undefined): boolean => status === "correct" || status === "rounded";
export const solved = computed(() => blanks.value.length > 0 && blanks.value.every((name) => isRight(marks.value.get(name))));

export function fill(name: string, text: string): void {
  const now = new Map(texts.value);
  if (text === "") now.delete(name);
  else now.set(name, text);
  filled.value = { place: place.value, texts: now };
}

/** What was typed of the numbers with such a grade, as the graph shows it. */
export function typedAs(fits: (status: Status) => boolean): Map<string, string> {
  const names = [...marks.value].filter(([, status]) => fits(status)).map(([name]) => name);
  return new Map(names.map((name) => [name, withMinus(typed(texts.value.get(name)!) ?? "")]));
}

export function clear(): void {
  filled.value = { place: place.value, texts: NOTHING };
  graded.value = null;
}

/** Whether a check was asked for too early. */
export const isTooEarly = signal(false);

/** Why there is nothing to check yet, in what was typed. */
export const unready = computed(() => {
  const given = [...texts.value.values()].map(typed);
  if (given.includes(undefined)) return "One of the fields holds no number.";
  return given.some((text) => text !== null) ? null : "Fill in a value first.";
});

export function check(): Promise<boolean> | undefined {
  isTooEarly.value = unready.value !== null;
  if (isTooEarly.value) return undefined;
  const given = new Map(texts.value);
  return attempt("check", async () => {
    await ensure();
    filled.value = { place: place.value, texts: given }; // the first call makes the session, which is another place
    const numbers = [...given].map(([name, text]): [string, string | null | undefined] => [name, typed(text)]);
    const values = Object.fromEntries(numbers);
    const decimals = new Map(numbers.flatMap(([name, number]): [string, number][] => (number ? [[name, decimalsOf(number)]] : [])));
    const calls = [...new Set(decimals.values())].map(async (many): Promise<[number, Verified]> => {
      return [many, await call<Verified>("POST", url(path("/verify"), when()), { body: { values, decimals: many } })];
    });
    const { statuses, firstWrong, cause } = merged(new Map(await Promise.all(calls)), decimals);
    const marks = new Map([...statuses].map(([name, status]) => [name, { text: given.get(name) ?? "", status }]));
    graded.value = { place: place.value, marks, firstWrong, cause };
  });
}

/** Show the right values below the fields, or hide them again. */
export function showAnswers(): void {
  if (answers.value) {
    expected.value = null;
    return;
  }
  const given = new Map(texts.value);
  void attempt("answers", async () => {
    await ensure();
    filled.value = { place: place.value, texts: given };
    // The API gives away what it grades: any number will do.
    const values = Object.fromEntries(blanks.value.map((name) => [name, 0]));
    const { items } = await call<Verified>("POST", url(path("/verify"), when()), { body: { values } });
    expected.value = { place: place.value, values: new Map(items.map((one) => [entry(one.name, ...one.index), one.expected])) };
  });
}
