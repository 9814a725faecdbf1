/** The API key, where the server wants one. It is kept here and nowhere else: with the page it is gone. */

import { signal } from "@preact/signals";
import type { Problem } from "./types";

export const key = signal<string | null>(null);

/** What calls wait for while a person is asked for a key. */
export interface Asking {
  /** What the server said of the call that needs one. */
  problem: Problem;
  given: Promise<boolean>;
  end: (given: boolean) => void;
}
export const asking = signal<Asking | null>(null);

/** The header that carries a key. */
export const carrying = (one: string | null): Record<string, string> => (one === null ? {} : { Authorization: `Bearer ${one}` });

/** Have a person asked for a key, once for all calls that want one. Answers whether there is another than the one that was refused. */
export function anotherKey(refused: string | null, problem: Problem): Promise<boolean> {
  if (key.value !== refused) return Promise.resolve(true);
  if (!asking.value) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    asking.value = { problem, given: promise, end: resolve };
  }
  return asking.value.given;
}

/** Go on with this key, which the server knows; with none, what waits for one is refused. */
export function give(one: string | null): void {
  if (one !== null) key.value = one;
  asking.value?.end(one !== null);
  asking.value = null;
}
