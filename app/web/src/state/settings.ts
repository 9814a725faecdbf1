/** What a person has set for this browser: kept in its local storage, where that can be had. */

import { effect, signal, type Signal } from "@preact/signals";

function kept<T>(key: string, initial: T): Signal<T> {
  let start = initial;
  try {
    const text = localStorage.getItem(`gradstep.${key}`);
    if (text !== null) start = JSON.parse(text) as T;
  } catch {
    // no storage, or something odd in it: the page works without
  }
  const value = signal(start);
  effect(() => {
    const text = JSON.stringify(value.value);
    try {
      localStorage.setItem(`gradstep.${key}`, text);
    } catch {
      // as above
    }
  });
  return value;
}

export const theme = kept<"system" | "light" | "dark">("theme", "system");
export const fullPrecision = kept("fullPrecision", false);
/** Whether single letters are keys (WCAG 2.1.4 wants a switch). */
export const letterKeys = kept("letterKeys", true);
/** The width of the panel in pixels; null for the usual one. */
export const panelWidth = kept<number | null>("panelWidth", null);
/** The ids of sessions that this browser has made, newest first. */
export const ownSessions = kept<string[]>("sessions", []);

/** Whether values change without moving. */
export const reducedMotion = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
