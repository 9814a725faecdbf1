/** How much room there is, where the layout must know more than CSS can say. */

import { signal, type ReadonlySignal } from "@preact/signals";

function matching(query: string): ReadonlySignal<boolean> {
  const media = matchMedia(query);
  const matches = signal(media.matches);
  media.addEventListener("change", () => (matches.value = media.matches));
  return matches;
}

/** One column: a thing at a time. */
export const phone = matching("(max-width: 767px)");
/** Room for Explain and Watch side by side. */
export const wide = matching("(min-width: 1800px)");
