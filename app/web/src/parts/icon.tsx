/** The page's few pictures, drawn as lines. They are never alone: a word or a label stands with each. */

import type { VNode } from "preact";

const PATHS = {
  back: "M15 5v14L5 12z",
  next: "M7 5v14l11-7z",
  pause: "M7 5h4v14H7zM14 5h4v14h-4z",
  down: "M6 9l6 6 6-6",
  check: "M5 12.5l4.5 4.5L19 7",
  cross: "M6 6l12 12M18 6L6 18",
  follows: "M6 5v8h11m-4-4l4 4-4 4",
  rounded: "M5 10c3-4 6-4 8-1.5s4 2 6-1.5M5 17c3-4 6-4 8-1.5s4 2 6-1.5",
  warning: "M12 4l9 16H3zM12 10v5m0 2v1",
  share: "M12 15V3m-4 4l4-4 4 4M5 12v8h14v-8",
  theme: "M12 4a8 8 0 100 16z",
  sun: "M12 8a4 4 0 100 8a4 4 0 000-8zM12 2v2m0 16v2M2 12h2m16 0h2M5 5l1.4 1.4m11.2 11.2L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M19 14.5A8 8 0 019.5 5a8 8 0 109.5 9.5z",
  more: "M3 12a2 2 0 104 0 2 2 0 10-4 0M10 12a2 2 0 104 0 2 2 0 10-4 0M17 12a2 2 0 104 0 2 2 0 10-4 0",
  fork: "M7 4v16M7 14c0-4 9-3 9-9m-3 3l3-3 3 3",
  download: "M12 4v11m-4-4l4 4 4-4M5 20h14",
} as const;
const FILLED = new Set(["back", "next", "pause", "more"]);

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): VNode {
  return (
    <svg class={FILLED.has(name) ? "icon filled" : "icon"} width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      {name === "theme" && <circle cx="12" cy="12" r="8" class="outline" />}
      <path d={PATHS[name]} class={name === "theme" ? "half" : undefined} />
    </svg>
  );
}
