/** The loss along each training, for its block. What is past does not change, so it is read once. */

import { signal } from "@preact/signals";
import { call, Refused, url } from "../client";
import { path } from "../state/actions";
import { session } from "../state/model";
import { report } from "../state/troubles";
import type { Curves } from "../types";

const POINTS = 200;
const courses = signal<ReadonlyMap<string, Curves | null>>(new Map());

/** The curves up to a training's end; null while they are being read. */
export function courseOf(revision: number): Curves | null {
  const id = session.value?.id;
  if (!id) return null;
  const key = `${id} ${revision}`;
  const found = courses.value.get(key);
  if (found === undefined) void read(key, revision);
  return found ?? null;
}

const asked = new Set<string>();
async function read(key: string, revision: number): Promise<void> {
  if (asked.has(key)) return;
  asked.add(key);
  try {
    const found = await call<Curves>("GET", url(path("/curves"), { revision, max_points: POINTS }));
    courses.value = new Map(courses.value).set(key, found);
  } catch (error) {
    if (error instanceof Refused) return; // a training that was replaced meanwhile has no course any more
    asked.delete(key);
    report(error, "timeline");
  }
}
