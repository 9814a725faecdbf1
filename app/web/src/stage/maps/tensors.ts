/** Whole tensors, as parts of the page need them: out of the snapshot on the screen, or read from the API. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, Refused, Unreachable, url } from "../../client";
import { isBySample, parse, tensorName, tensorOf } from "../../names";
import type { Value } from "../../numbers";
import { path, when } from "../../state/actions";
import { looking, rowCount, sample, sampleCount, session, shape, snapshot } from "../../state/model";
import type { Snapshot } from "../../types";
import { readNpy, type Tensor } from "./npy";
import { entriesIn, isThere } from "./there";

/** A tensor of more numbers is neither read nor drawn. */
export const MOST_ENTRIES = 2_000_000;
/** Tensors of so many numbers together are kept, for going back and forth. */
const MOST_KEPT = 8_000_000;
/** While the timeline is dragged, only where it rests is read. */
const REST_MS = 150;

export interface Loaded {
  /** The tensor; while a newer state is read, still that of the one before. */
  tensor: Tensor | null;
  status: "ready" | "loading" | "absent" | "large" | "failed";
  detail?: string;
  /** Where it failed: read it again. */
  retry?: () => void;
}

interface Answer {
  key: string;
  /** What was wrong, if anything was. */
  detail?: string;
}

const read = new Map<string, Tensor>();

/** The tensor of a name (or of none), in the state that is on the screen. */
export function useTensor(name: string | null): Loaded {
  const now = snapshot.value;
  const own = useMemo(() => (now && name !== null ? inSnapshot(now, name) : null), [now, name]);
  const state = own === null && now && name !== null ? statusOf(now, name) : "absent";
  const place = state === "loading" ? url(path(`/tensors/${name}`), when()) : null;
  const key = place && `${place} ${now!.revision}`;
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [tries, setTries] = useState(0);
  const before = useRef<{ name: string | null; session: string; tensor: Tensor } | null>(null);

  useEffect(() => {
    if (!place || !key || read.has(key)) return undefined;
    const gone = new AbortController();
    const rest = setTimeout(() => void load(place, key, gone.signal).then(setAnswer), looking.peek()?.by === "drag" ? REST_MS : 0);
    return () => {
      clearTimeout(rest);
      gone.abort();
    };
  }, [place, key, tries]);

  const tensor = own ?? (key ? (read.get(key) ?? null) : null);
  if (tensor) {
    before.current = { name, session: now!.session, tensor };
    return { tensor, status: "ready" };
  }
  if (state !== "loading") return { tensor: null, status: state };
  if (answer?.key === key && answer?.detail) {
    const retry = () => {
      setAnswer(null);
      setTries(tries + 1);
    };
    return { tensor: null, status: "failed", detail: answer.detail, retry };
  }
  const stale = before.current?.name === name && before.current.session === now!.session ? before.current.tensor : null;
  return { tensor: stale, status: "loading" };
}

function keep(key: string, tensor: Tensor): void {
  read.set(key, tensor);
  let kept = 0;
  for (const [other, { values }] of [...read].reverse()) {
    kept += values.length;
    if (kept > MOST_KEPT && other !== key) read.delete(other);
  }
}

async function load(place: string, key: string, signal: AbortSignal): Promise<Answer | null> {
  try {
    const answer = await ask("GET", place, { headers: { Accept: "application/x-npy" }, signal });
    keep(key, readNpy(await answer.arrayBuffer()));
    return { key };
  } catch (error) {
    if (signal.aborted) return null;
    if (error instanceof Refused || error instanceof Unreachable) return { key, detail: error.message };
    throw error;
  }
}

function statusOf(now: Snapshot, name: string): "loading" | "absent" | "large" {
  if (!session.value || !shape.value || !isThere(now, name)) return "absent";
  const many = entriesIn(shape.value, sampleCount.value, name);
  return many > MOST_ENTRIES ? "large" : "loading";
}

/** A tensor that the snapshot has whole; of those by sample it has one row, where the session has several. */
function inSnapshot(now: Snapshot, name: string): Tensor | null {
  const parsed = parse(name);
  let found = tensorOf(now, parsed);
  const first = isBySample(parsed) ? sample.peek() : 0;
  if (isBySample(parsed) && parsed.index.length === 0 && rowCount.peek() > 1) return null;
  for (const [axis, i] of parsed.index.entries()) found = Array.isArray(found) ? found[axis === 0 ? i - first : i] : undefined;
  if (!Array.isArray(found)) return null;
  const width = Array.isArray(found[0]) ? found[0].length : null;
  const values = Float64Array.from(found.flat() as (number | null)[], (value) => value ?? NaN);
  for (const odd of now.nonfinite) {
    if (odd.name !== tensorName(name) || parsed.index.some((i, axis) => odd.index[axis] !== i)) continue;
    const at = odd.index.slice(parsed.index.length);
    values[width === null ? at[0]! : at[0]! * width + at[1]!] = Number(odd.value);
  }
  return { shape: width === null ? [found.length] : [found.length, width], values };
}

/** An entry as the page writes numbers; undefined where there is none. */
export function valueAt(tensor: Tensor | null, ...index: number[]): Value {
  if (!tensor) return undefined;
  const [row = 0, column] = index;
  return asValue(tensor.values[column === undefined ? row : row * tensor.shape[1]! + column]);
}

/** A number as the page writes numbers. */
export function asValue(value: number | undefined): Value {
  if (value === undefined || Number.isFinite(value)) return value;
  return String(value) as Value;
}
