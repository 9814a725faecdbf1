/** On a phone: the revisions as a list, newest first. */

import type { VNode } from "preact";
import { written } from "../numbers";
import { history, session } from "../state/model";
import { SHAPES } from "./glyph";
import { marks, shownStop, standAtMark, stuck } from "./past";
import type { Mark } from "./stops";

const MOST = 200;

export function Revisions(): VNode | null {
  if (!session.value) return null;
  return (
    <ol class="time-list" reversed>
      {marks.value
        .filter(({ revision }) => revision >= 0)
        .slice(-MOST)
        .toReversed()
        .map((one) => (
          <Row key={one.revision} mark={one} />
        ))}
    </ol>
  );
}

function Row({ mark }: { mark: Mark }): VNode {
  const loss = history.value.find(({ revision }) => revision === mark.revision)?.loss;
  const here = shownStop.value >= mark.stop && shownStop.value < mark.stop + mark.stops;
  const within = here && shownStop.value < mark.stop + mark.stops - 1;
  const later = mark.stop > shownStop.value;
  return (
    <li>
      <button
        type="button"
        class={later ? "time-row later" : "time-row"}
        aria-current={here ? "true" : undefined}
        aria-disabled={stuck.value ? "true" : undefined}
        onClick={() => standAtMark(mark)}
      >
        <svg width="16" height="16" viewBox="-8 -8 16 16" aria-hidden="true">
          {mark.kind === "block" ? (
            <path class="time-glyph box" d="M-7-5h14v10h-14z" />
          ) : (
            <path class={`time-glyph${mark.kind === "start" ? " ring" : ""}${later ? " later" : ""}`} d={SHAPES[mark.kind]} />
          )}
        </svg>
        <span class="time-number">{mark.revision}</span>
        <span class="time-says">
          {mark.says}
          {within && `, at epoch ${mark.from + shownStop.value - mark.stop}`}
        </span>
        {loss !== null && loss !== undefined && <span class="time-loss">loss {written(loss)}</span>}
      </button>
    </li>
  );
}
