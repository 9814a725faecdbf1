/** Arrow keys among the numbers of a table, which is one stop of the tab key. */

import { useLayoutEffect, useRef } from "preact/hooks";

interface Roving {
  ref: { current: HTMLTableElement | null };
  onKeyDown: (event: KeyboardEvent) => void;
  onFocusIn: (event: FocusEvent) => void;
}

/** Props for a table whose numbers have `tabIndex={-1}`: one of them can be tabbed to, and arrows go from it. */
export function useRoving(): Roving {
  const ref = useRef<HTMLTableElement>(null);
  useLayoutEffect(() => {
    const all = ref.current!.querySelectorAll<HTMLElement>(".num");
    const stops = [...all].filter((one) => one.tabIndex === 0);
    if (stops.length === 0 && all[0]) all[0].tabIndex = 0;
  });
  return {
    ref,
    onKeyDown: (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const to = event.target instanceof HTMLElement ? neighbour(event.target, event.key) : null;
      if (!to) return;
      event.preventDefault();
      to.focus();
    },
    onFocusIn: (event) => {
      if (!(event.target as HTMLElement).classList.contains("num")) return;
      for (const one of ref.current!.querySelectorAll<HTMLElement>('.num[tabindex="0"]')) one.tabIndex = -1;
      (event.target as HTMLElement).tabIndex = 0;
    },
  };
}

/** The number to which a key goes from another. */
function neighbour(from: HTMLElement, key: string): HTMLElement | null {
  const row = from.closest("tr")!;
  const inRow = numbersIn(row);
  const at = inRow.indexOf(from);
  if (key === "ArrowRight") return inRow[at + 1] ?? null;
  if (key === "ArrowLeft") return inRow[at - 1] ?? null;
  if (key === "Home") return inRow[0] ?? null;
  if (key === "End") return inRow.at(-1) ?? null;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const other = key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
  if (!other) return null;
  // Cells that go over several rows are in the first of them only: what is nearest is meant, not the same place in the list.
  const middle = (one: Element) => one.getBoundingClientRect().left + one.getBoundingClientRect().width / 2;
  const here = middle(from);
  return numbersIn(other).reduce<HTMLElement | null>(
    (best, one) => (best === null || Math.abs(middle(one) - here) < Math.abs(middle(best) - here) ? one : best),
    null,
  );
}

const numbersIn = (row: Element): HTMLElement[] => [...row.querySelectorAll<HTMLElement>(".num")];
