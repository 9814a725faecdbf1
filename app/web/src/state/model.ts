/** What the page shows: the session, where it stands, what is selected. Parts read these signals; `actions` writes them. */

import { computed, signal } from "@preact/signals";
import { valueOf } from "../names";
import type { Value } from "../numbers";
import type { Catalog, Config, Curves, Next, Revision, Rows, Session, Snapshot, Stopped } from "../types";
import { fits, shapeOf, type Shape } from "./shape";

export type View = "graph" | "numbers" | "maps";
export type Panel = "explain" | "watch" | "check" | "edit";
/** What a phone shows, which has room for one thing. */
export type Tab = "network" | Panel | "time";

/** The session as it was last read; null until the first press creates it from `draft`. */
export const session = signal<Session | null>(null);
/** The config of a session that is not made yet. */
export const draft = signal<Config | null>(null);
export const catalog = signal<Catalog | null>(null);
/** The numbers on the screen. */
export const snapshot = signal<Snapshot | null>(null);
/** The revisions that can be stood at, in order. */
export const history = signal<Revision[]>([]);
/** The entries of the whole life of the session, as columns. */
export const curves = signal<Curves | null>(null);
/** The session's rows; null until somebody asked for them, or where there are none. */
export const rows = signal<Rows | null>(null);

/** A place in the past that is looked at without standing there: while the timeline is dragged, or by a shared link. */
export interface Looking {
  revision?: number | undefined;
  epoch?: number | undefined;
  /** `drag` ends when it is let go, `link` stays until "Continue from revision N". */
  by: "drag" | "link";
}
export const looking = signal<Looking | null>(null);

/** A training under way, or being played back to its end. */
export interface Training {
  run: string;
  epochsTotal: number;
  /** The session's epoch before it. */
  from: number;
  /** The epoch on the screen. */
  epoch: number;
  firstLoss: number | null;
  loss: number | null;
  testLoss: number | null;
  stop: string;
  pausing: boolean;
}
export const training = signal<Training | null>(null);
/** Why the last training ended, until the next change. */
export const stopped = signal<Stopped | null>(null);

/** The call under way, by the name of the control that made it. */
export const busy = signal<string | null>(null);

/** Why a key did nothing, in the narrator's place for a while. */
export const notice = signal<string | null>(null);

/** What is wrong, said where it belongs. `at` is the control whose call was refused; null for the whole page. */
export interface Trouble {
  kind: "lost" | "moved" | "expired" | "gone" | "refused";
  title: string;
  detail: string;
  at: string | null;
  /** What a press on its button does. */
  retry?: () => void;
  /** What the server said, word for word. */
  said?: string;
}
export const trouble = signal<Trouble | null>(null);
export const expired = computed(() => trouble.value?.kind === "expired" || trouble.value?.kind === "gone");

/** The name of the number that is explained. */
export const selection = signal<string | null>(null);
/** The names that were selected on the way to it, oldest first. */
export const trail = signal<string[]>([]);
export const view = signal<View | null>(null);
export const panel = signal<Panel>("explain");
export const tab = signal<Tab>("network");
/** The sample that the graph shows, from 0. */
export const sample = signal(0);
/** How many rows the session has; one for a draft. */
export const rowCount = computed(() => rows.value?.inputs?.length ?? 1);
/** How many samples the graph can show: the rows, or those of the batch that a training went over last. */
export const sampleCount = signal(1);
/** The other session of a comparison. */
export const comparedWith = signal<string | null>(null);
/** What is open above the page. */
export const open = signal<"keys" | "train" | "until" | "new" | "sessions" | "compare" | "share" | "copy" | "more" | null>(null);
/** The last change, as a call that can be copied. */
export const lastCall = signal<{ method: string; path: string; body?: unknown } | null>(null);
/** Whether the numbers on the screen have just been computed by this operation on this layer. */
export const justDone = signal<Next | null>(null);

export const config = computed(() => session.value?.config ?? draft.value);
/** The network's layers and sizes, in plain terms. */
export const shape = computed<Shape | null>(() => (config.value ? shapeOf(config.value) : null));
/** Whether the graph can show it: at most 16 units a layer, inputs too. */
export const fitsGraph = computed(() => shape.value !== null && fits(shape.value));
/** Whether each unit is a card with its numbers; tiles otherwise. */
export const fitsCards = computed(
  () => shape.value !== null && Math.max(...shape.value.sizes) <= 4 && shape.value.layers.length <= 4,
);
/** The view on the screen: the one that was chosen, or the best that fits. */
export const shownView = computed<View>(() => {
  if (view.value === "graph" && !fitsGraph.value) return "maps";
  return view.value ?? (fitsGraph.value ? "graph" : "maps");
});
/** What comes next; a session that is not made yet begins with its first layer. */
export const next = computed<Next | null>(() => snapshot.value?.next ?? null);
export const revision = computed(() => snapshot.value?.revision ?? 0);

/** Numbers that the sheet of blanks asks for, by name: they stay hidden elsewhere. */
export const asked = signal<ReadonlySet<string>>(new Set());
/** What was filled in wrongly, by the name of the entry. */
export const wrong = signal<ReadonlyMap<string, string>>(new Map());
/** What was filled in rightly, as it was typed. */
export const answered = signal<ReadonlyMap<string, string>>(new Map());

/** The number on the screen that a name stands for; inputs and targets are the session's own until a pass has taken them. */
export function shown(name: string): Value {
  const value = snapshot.value ? valueOf(snapshot.value, name, sample.value) : undefined;
  const own = /^(inputs|targets)\[(\d+)\](?:\[(\d+)\])?$/.exec(name);
  if ((value ?? null) !== null || !own) return value;
  const row = rows.value?.[own[1] as "inputs" | "targets"]?.[Number(own[2])] as Value | Value[];
  return Array.isArray(row) ? row[Number(own[3])] : row;
}
