/** A config tried on the server while it is written: nothing is made, and what is wrong is said. */

import { useSignal, useSignalEffect, type ReadonlySignal, type Signal } from "@preact/signals";
import { call, Refused, Unreachable } from "../client";
import type { Config } from "../types";
import type { components } from "../api";
import type { FieldError } from "./schema";

export type Tried =
  | { status: "checking" }
  | { status: "lost" }
  | { status: "fine"; answer: components["schemas"]["DryRunSchema"] }
  | { status: "refused"; detail: string; errors: FieldError[] };

/** How long a person stops typing before the server is asked. */
const PAUSE_MS = 250;

export function useTried(config: Signal<Config>): ReadonlySignal<Tried> {
  const tried = useSignal<Tried>({ status: "checking" });
  useSignalEffect(() => {
    const body = config.value;
    const stop = new AbortController();
    const timer = setTimeout(() => void attempt(body, stop.signal, tried), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  });
  return tried;
}

async function attempt(body: Config, stop: AbortSignal, tried: Signal<Tried>): Promise<void> {
  try {
    tried.value = { status: "fine", answer: await call("POST", "/v1/sessions?dry_run=true", { body, signal: stop }) };
  } catch (error) {
    if (stop.aborted) return;
    if (error instanceof Refused) tried.value = { status: "refused", detail: error.problem.detail, errors: error.problem.errors ?? [] };
    else if (error instanceof Unreachable) tried.value = { status: "lost" };
    else throw error;
  }
}
