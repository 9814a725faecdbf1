/** The keys: what each does, for the keyboard, the tool tips and the sheet that `?` opens. */

import { backCompared, pauseCompared, pressCompared, stepCompared, trainCompared } from "../compare/state";
import { asking } from "../key";
import { fork, neighbour, pressBack, pressBackward, pressForward, pressNext, pressUpdate, pressWholeStep } from "./actions";
import { selectBack, unselect } from "./explaining";
import {
  busy, comparedWith, expired, fitsGraph, history, notice, open, panel, selection, session, shownView, snapshot, tab, trail, training, view, type Panel, type View,
} from "./model"; // prettier-ignore
import { missing } from "./next";
import { letterKeys } from "./settings";
import { pause, train } from "./training";

export interface Key {
  key: string;
  does: string;
  /** Why it does nothing now, or null. */
  missing: () => string | null;
  press: () => void;
}

const always = () => null;
const toPanel = (to: Panel) => () => {
  panel.value = to;
  tab.value = to;
};
const VIEWS: View[] = ["graph", "numbers", "maps"];
function nextView(): void {
  const views = VIEWS.filter((one) => one !== "graph" || fitsGraph.value);
  view.value = views[(views.indexOf(shownView.value) + 1) % views.length]!;
}
const later = (by: -1 | 1) => () =>
  training.value ? "A training is under way. Pause it first."
  : expired.value ? "The session has expired."
  : neighbour(by) || isAhead() ? null
  : by < 0 ? "This is the first revision." : "This is the newest revision."; // prettier-ignore
/** Whether the history does not have what is shown yet: it is read after each step, and a press does not wait for that. */
const isAhead = () => session.value !== null && !history.value.some(({ revision }) => revision === snapshot.value?.revision);
const made = () => (session.value ? null : "There is no session yet. Press Next first.");

export const KEYS: Key[] = [
  { key: "N", does: "Next: what the teal button says", missing: always, press: () => (comparedWith.value ? pressCompared() : pressNext()) },
  { key: ",", does: "One revision back", missing: later(-1), press: () => (comparedWith.value ? backCompared() : pressBack(-1)) },
  { key: ".", does: "One revision on", missing: later(1), press: () => pressBack(1) },
  { key: "F", does: "Forward through one layer", missing: () => missing("forward"), press: pressForward },
  { key: "B", does: "Backward through one layer", missing: () => missing("backward"), press: pressBackward },
  { key: "U", does: "Update the parameters", missing: () => missing("step"), press: pressUpdate },
  { key: "S", does: "The rest of a whole step", missing: () => missing("forward"), press: () => (comparedWith.value ? stepCompared() : pressWholeStep()) },
  { key: "T", does: "Train", missing: () => missing("train"), press: () => (comparedWith.value ? trainCompared() : void train()) },
  { key: "R", does: "Run until…", missing: () => missing("train"), press: () => (open.value = "until") },
  { key: "P", does: "Pause the training", missing: () => (training.value ? null : "No training is under way."), press: () => (comparedWith.value ? pauseCompared() : void pause()) },
  { key: "E", does: "Explain", missing: always, press: toPanel("explain") },
  { key: "W", does: "Watch", missing: always, press: toPanel("watch") },
  { key: "C", does: "Check my working", missing: always, press: toPanel("check") },
  { key: "D", does: "Edit", missing: always, press: toPanel("edit") },
  { key: "G", does: "Graph, numbers or heat maps", missing: always, press: nextView },
  { key: "K", does: "Fork here", missing: made, press: () => void fork() },
  { key: "X", does: "Compare with another session", missing: made, press: () => (open.value = "compare") },
  { key: "?", does: "These keys", missing: always, press: () => (open.value = open.value === "keys" ? null : "keys") },
];

/** What to add to a tool tip: the key, and what is missing. */
export function hint(key: string): string {
  const found = KEYS.find((one) => one.key === key);
  const why = found?.missing();
  return why ? `${why} (${key})` : `Key: ${key}`;
}

const inField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Listen to the keys. They are off in fields, with Ctrl, Alt or Meta, and where a person has turned them off. */
export function listen(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      escape();
      return;
    }
    if (inField(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "Backspace" && trail.value.length) {
      event.preventDefault();
      selectBack();
      return;
    }
    if (!letterKeys.value) return;
    const key = KEYS.find((one) => one.key === event.key.toUpperCase());
    if (!key || event.repeat) return;
    event.preventDefault();
    // What is missing while a call is under way may be there when its turn comes.
    const why = busy.value === null ? key.missing() : null;
    say(why);
    if (why === null) key.press();
  });
}

const SAID_FOR_MS = 5000;
let silence = 0;
/** Say why a key does nothing, until another one is pressed or for some seconds. */
function say(why: string | null): void {
  notice.value = why;
  clearTimeout(silence);
  if (why !== null) silence = window.setTimeout(() => (notice.value = null), SAID_FOR_MS);
}

/** Close what is open last: a sheet, the comparison, the selection. */
function escape(): void {
  if (asking.value) return; // its sheet closes itself, and what lies below stays
  if (open.value) open.value = null;
  else if (comparedWith.value) comparedWith.value = null;
  else if (selection.value) {
    unselect();
    tab.value = "network";
  }
}
