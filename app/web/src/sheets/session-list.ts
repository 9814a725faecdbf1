/** The sessions that can be opened: those of this browser first, then the server's others. */

import { signal } from "@preact/signals";
import { call } from "../client";
import { count, written } from "../numbers";
import { ownSessions } from "../state/settings";
import { report } from "../state/troubles";
import type { SessionItem } from "../types";

/** Null until they were asked for. */
export const sessions = signal<SessionItem[] | null>(null);

export async function readSessions(): Promise<void> {
  try {
    const { items } = await call<{ items: SessionItem[] }>("GET", "/v1/sessions?limit=200");
    sessions.value = items;
  } catch (error) {
    sessions.value ??= [];
    report(error, "sessions");
  }
}

/** The sessions in two parts, each with the one that was changed last first. */
export function parted(items: readonly SessionItem[], own: readonly string[]): { own: SessionItem[]; others: SessionItem[] } {
  const newest = items.toSorted((a, b) => b.updated_at.localeCompare(a.updated_at));
  return { own: newest.filter(({ id }) => own.includes(id)), others: newest.filter(({ id }) => !own.includes(id)) };
}

export const ownAndOthers = () => parted(sessions.value ?? [], ownSessions.value);

/** Where a session stands, and since when, which tells those of one name apart. */
export function standing({ revision, epochs, loss, updated_at }: SessionItem): string {
  const since = new Date(updated_at);
  const today = since.toDateString() === new Date().toDateString();
  const at = today ? since.toLocaleTimeString([], { timeStyle: "short" }) : since.toLocaleDateString([], { dateStyle: "medium" });
  return `revision ${count(revision)}, epoch ${count(epochs)}${loss === null ? "" : `, loss ${written(loss)}`}, changed ${at}`;
}
