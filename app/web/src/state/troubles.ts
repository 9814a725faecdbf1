/** Calls that may fail: what is wrong is said in the API's own words, and the last state stays on the screen. */

import { Refused, Unreachable } from "../client";
import type { Problem } from "../types";
import { busy, session, trouble, type Trouble } from "./model";

/** How long the page waits before it asks a server that did not answer again. */
export const RETRY_SECONDS = 4;

let reload: () => Promise<unknown> = async () => undefined;
/** Say how the session is read again, once the server answers. */
export function onReload(how: () => Promise<unknown>): void {
  reload = how;
}

/** Controls that make something, which a double press should not make twice. */
const ONCE = new Set(["start", "fork", "train", "until", "share"]);
const waiting = new Set<string>();
let last: Promise<unknown> = Promise.resolve();

/**
 * Do something that calls the API, for a control, once what was pressed before is done: no press is lost.
 * Answers whether it was done; what went wrong is in `trouble`.
 */
export function attempt(control: string, work: () => Promise<void>): Promise<boolean> {
  if (waiting.has(control) && ONCE.has(control)) return Promise.resolve(false);
  waiting.add(control);
  const done = last.then(() => carryOut(control, work));
  last = done.catch(() => undefined);
  return done;
}

async function carryOut(control: string, work: () => Promise<void>): Promise<boolean> {
  busy.value = control;
  if (trouble.value?.kind === "refused") trouble.value = null;
  try {
    await work();
    if (trouble.value?.kind === "lost") trouble.value = null;
    return true;
  } catch (error) {
    report(error, control);
    return false;
  } finally {
    busy.value = null;
    waiting.delete(control);
  }
}

/** Say what an error of the client means. Others are bugs, and thrown on. */
export function report(error: unknown, control: string | null): void {
  if (error instanceof Unreachable) trouble.value = lost();
  else if (error instanceof Refused) trouble.value = explained(error.problem, control);
  else throw error;
}

function lost(): Trouble {
  return { kind: "lost", title: "No answer from the server.", detail: "The last state stays.", at: null, retry: again };
}

/** Read the session again; what came between shows. */
export async function again(): Promise<void> {
  try {
    await reload();
    trouble.value = null;
  } catch (error) {
    report(error, null);
  }
}

/** What a refusal means. A session is lost to the page only if it is the one on the screen. */
export function explained(problem: Problem, control: string | null): Trouble {
  const its = session.value !== null && problem.instance.includes(session.value.id);
  const said = `${problem.status} ${problem.title}\n${problem.detail}`;
  const common = { title: problem.title, detail: inFull(problem), at: control, said };
  if (its && problem.type.endsWith("session-expired")) {
    const until = problem.expired_at ? `, until ${clock(problem.expired_at)}` : "";
    return { ...common, kind: "expired", title: "This session has expired.", detail: `It was left unchanged for too long${until}.`, at: null };
  }
  if (its && problem.type.endsWith("session-not-found")) {
    return { ...common, kind: "gone", title: "This session is gone.", detail: "The server does not know it any more.", at: null };
  }
  if (its && problem.status === 412) {
    const to = /\d+$/.exec(problem.detail)?.[0];
    const title = to ? `This session moved on elsewhere, to revision ${to}.` : "This session moved on elsewhere.";
    return { ...common, kind: "moved", title, detail: "", at: null, retry: again };
  }
  return { ...common, kind: "refused" };
}

/** 14:05, as clocks show it here. */
const clock = (at: string): string => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** A problem's detail, with what is wrong with each field. */
export function inFull(problem: Problem): string {
  const fields = (problem.errors ?? []).map(({ pointer, parameter, detail }) => [pointer ?? parameter, detail].filter(Boolean).join(": "));
  // Where only one field is wrong, the detail says it already.
  return [problem.detail, ...fields.filter((field) => !problem.detail.includes(field))].join(" ");
}
