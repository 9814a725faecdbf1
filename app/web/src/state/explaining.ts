/** The number that is selected: where it comes from, and what in the graph has part in it. */

import { computed, effect, signal, untracked } from "@preact/signals";
import { call, Refused, Unreachable, url } from "../client";
import { isNotComputed, parse, tensorName } from "../names";
import type { Explanation, Path, Problem } from "../types";
import { ensure, path, when } from "./actions";
import { draft, expired, panel, selection, session, shown, snapshot, tab, trail, training } from "./model";
import { report } from "./troubles";

export type Explained =
  | { of: string; status: "loading" }
  | { of: string; status: "ready"; explanation: Explanation; update: Explanation | null }
  /** Null where the number is not computed yet. */
  | { of: string; status: "none"; problem: Problem | null }
  | { of: string; status: "lost" };

export const explained = signal<Explained | null>(null);
/** The name that is pointed at in the ledger, by mouse or focus. */
export const pointed = signal<string | null>(null);
/** The path of the ledger that is open, from 0. */
export const openPath = signal(0);

const LONGEST_TRAIL = 12;

/** Select a number: it is explained in the panel. */
export function select(name: string): void {
  if (selection.value !== null && selection.value !== name) {
    trail.value = [...trail.value, selection.value].slice(-LONGEST_TRAIL);
  }
  selection.value = name;
  openPath.value = 0;
  if (panel.value !== "edit") panel.value = "explain";
  tab.value = "explain";
}

/** Go back to the number that was selected before. */
export function selectBack(to = trail.value.length - 1): void {
  selection.value = trail.value[to] ?? null;
  trail.value = trail.value.slice(0, Math.max(0, to));
  openPath.value = 0;
}

export function unselect(): void {
  selection.value = null;
  trail.value = [];
}

let asked = 0;
async function explain(of: string): Promise<void> {
  const mine = ++asked;
  if (explained.value?.of !== of) explained.value = { of, status: "loading" };
  let next: Explained;
  try {
    await ensure();
    if (mine !== asked) return;
    if (isNotComputed(snapshot.value!, of)) {
      next = { of, status: "none", problem: null };
    } else {
      const [explanation, update] = await Promise.all([ask(of), updateOf(of)]);
      next = { of, status: "ready", explanation, update };
    }
  } catch (error) {
    if (error instanceof Refused) next = { of, status: "none", problem: error.problem };
    else if (error instanceof Unreachable) next = { of, status: "lost" };
    else throw error;
    const gone = error instanceof Refused && [404, 410].includes(error.problem.status);
    if (gone || error instanceof Unreachable) report(error, null);
  }
  if (mine === asked) explained.value = next;
}

function ask(of: string): Promise<Explanation> {
  return call<Explanation>("GET", url(path("/explain"), { of, max_samples: 3, ...when() }));
}

/** For a parameter or its gradient, once gradients are there: what the next update makes of it. */
async function updateOf(of: string): Promise<Explanation | null> {
  const { quantity, of: part, index } = parse(of);
  const fits = (quantity === "weight" || quantity === "bias") && (part === null || part === "gradient");
  if (!fits || !snapshot.value?.allowed.includes("step")) return null;
  const base = tensorName(of).replace(/\.gradient$/, "");
  try {
    return await ask(`${base}.next${index.map((i) => `[${i}]`).join("")}`);
  } catch (error) {
    if (error instanceof Refused) return null; // no update is to come for this one
    throw error;
  }
}

// The explanation follows the selection and the numbers on the screen.
effect(() => {
  const of = selection.value;
  if (of === null) {
    explained.value = null;
    return;
  }
  if (!snapshot.value || training.value || !(session.value ?? draft.value) || expired.peek()) return;
  untracked(() => void explain(of));
});

/** What of the graph has part in the number that is selected. */
export interface Lit {
  /** The selected number itself. */
  selected: string | null;
  /** The numbers on the screen that it is computed from. */
  factors: ReadonlySet<string>;
  /** The names whose numbers have changed since it was computed from them. */
  changed: ReadonlySet<string>;
  /** The ways from a parameter to the loss, each as the names of the numbers along it. */
  paths: string[][];
}

const DARK: Lit = { selected: null, factors: new Set(), changed: new Set(), paths: [] };
const MOST_PATHS = 8;

export const lit = computed<Lit>(() => {
  const now = explained.value;
  if (!now) return DARK;
  if (now.status !== "ready") return { ...DARK, selected: now.of };
  const { explanation } = now;
  const paths = explanation.chain?.samples[0]?.paths ?? [];
  const open = paths[openPath.value];
  const changed = new Set([...explanation.terms, ...paths.flatMap(({ factors }) => factors)].filter(isOther).map(({ of }) => of!));
  const names = [...explanation.terms, ...(open?.factors ?? [])].map(({ of }) => of).filter((of) => of !== null && !changed.has(of));
  return { selected: now.of, factors: new Set(names as string[]), changed, paths: paths.slice(0, MOST_PATHS).map(along) };
});

/** Whether the number on the screen is another than the one that was computed with: after an update, a weight is. */
function isOther({ of, value }: Explanation["terms"][number]): boolean {
  const now = of === null ? undefined : shown(of);
  return typeof now === "number" && typeof value === "number" && now !== value;
}

function along({ through, factors }: Path): string[] {
  return [...through, ...factors.map(({ of }) => of).filter((of) => of !== null)];
}
