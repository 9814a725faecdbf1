/** The page's colours as numbers, for canvases: CSS alone knows which theme is on. */

import { signal } from "@preact/signals";

type RGB = [number, number, number];

/** Counts the changes of theme: who draws on a canvas reads it, and draws again. */
export const themeChanges = signal(0);
const found = new Map<string, string>();
function change(): void {
  found.clear();
  themeChanges.value++;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
new MutationObserver(change).observe(document.documentElement, { attributeFilter: ["data-theme"] });

/** A token's colour now, as CSS text: `colour("--pos")`. */
export function colour(token: string): string {
  let text = found.get(token);
  if (text === undefined) found.set(token, (text = computed(token)));
  return text;
}

function computed(token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const text = getComputedStyle(probe).color;
  probe.remove();
  return text;
}

/** The diverging scale now, from − to +, in 256 steps. `middle` keeps to its paler part: 0.62 is for pictures behind marks. */
export function diverging(middle = 1): Uint8ClampedArray {
  const stops = Array.from({ length: 9 }, (_, i) => rgb(colour(`--d${i}`)));
  const table = new Uint8ClampedArray(256 * 3);
  for (let step = 0; step < 256; step++) {
    const at = (0.5 + (step / 255 - 0.5) * middle) * 8;
    const low = Math.min(7, Math.floor(at));
    const [from, to] = [stops[low]!, stops[low + 1]!];
    for (let c = 0; c < 3; c++) table[3 * step + c] = from[c]! + (to[c]! - from[c]!) * (at - low);
  }
  return table;
}

function rgb(text: string): RGB {
  const [r, g, b] = [...text.matchAll(/[\d.]+/g)].map(Number);
  return [r ?? 0, g ?? 0, b ?? 0];
}
