/** The strip: marks, blocks of trainings, and the playhead, which is dragged or moved by keys. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useWidth } from "../parts/width";
import { Block } from "./block";
import { BASE, Glyph } from "./glyph";
import { inWords, letGo, marks, preview, RUNNING, settle, shownStop, standingStop, stops, stuck } from "./past";
import { axis, fitting, spread, stopAt, xOf, type Label, type Spread } from "./spread";

const HEIGHT = 76;
const STAND_AFTER_MS = 800;

export function Strip(): VNode {
  const [place, width] = useWidth<HTMLDivElement>();
  const held = useSignal(false);
  /** Where a press on a fold has moved the window to, for as long as the playhead stays. */
  const turned = useSignal<{ at: number; focus: number } | null>(null);

  const now = shownStop.value;
  // The window stays while the playhead is dragged in it.
  const focus = held.value ? standingStop.value : turned.value?.at === now ? turned.value.focus : now;
  const { marks: shown, before, after } = spread(marks.value, width, focus);
  const inside = shown.length > 0 && now >= shown[0]!.stop && now < shown.at(-1)!.stop + shown.at(-1)!.stops;
  const turn = (mark: Spread, by: number) => (turned.value = { at: now, focus: mark.stop + by });
  return (
    <div class="time-strip" ref={place}>
      {before > 0 && (
        <button type="button" class="time-fold left" aria-label={`${before} earlier revisions`} onClick={() => turn(shown[0]!, -1)}>
          +{before}
        </button>
      )}
      <Slider held={held} shown={shown}>
        <svg width={width} height={HEIGHT} aria-hidden="true">
          <line class="time-line" x1={0} x2={width} y1={BASE} y2={BASE} />
          {shown.map((one) =>
            one.kind === "block" ? <Block key={one.revision} mark={one} now={now} /> : <Glyph key={one.revision} mark={one} later={one.stop > now} />,
          )}
          {labelsOf(shown, inside ? now : null, width).map(({ x, text, bold }) => (
            <text key={`${x} ${text}`} class={bold ? "time-label bold" : "time-label"} x={x} y={BASE + 18}>
              {text}
            </text>
          ))}
          {inside && <path class="time-playhead" transform={`translate(${xOf(shown, now)} 0)`} d="M-6 10h12v7l-6 6l-6-6zM-1 20h2v34h-2z" />}
        </svg>
      </Slider>
      {after > 0 && (
        <button type="button" class="time-fold right" aria-label={`${after} later revisions`} onClick={() => turn(shown.at(-1)!, shown.at(-1)!.stops)}>
          +{after}
        </button>
      )}
    </div>
  );
}

/** The playhead's own label first, where it is in sight, then the marks'; a training under way has an axis. */
function labelsOf(shown: Spread[], now: number | null, width: number): Label[] {
  const own = now === null ? undefined : shown.findLast((one) => one.stop <= now);
  const labels: Label[] = [];
  if (now !== null && own && own.revision !== RUNNING) {
    const within = own.kind === "block" && now < own.stop + own.stops - 1;
    labels.push(within ? { x: xOf(shown, now), text: `epoch ${own.from + now - own.stop}`, bold: true } : { ...labelOf(own), bold: true });
  }
  const crowded = shown.length > 1 && shown.some((one, i) => i > 0 && !one.width && one.x - shown[i - 1]!.x < 44);
  const running = shown.at(-1)?.revision === RUNNING ? axis(shown.at(-1)!) : [];
  const others = shown.filter((one) => one !== own && one.revision !== RUNNING);
  // Where there is no room for all, layers go unnamed first: their marks' shapes say what was done.
  const isPass = ({ kind }: Spread) => kind === "forward" || kind === "backward";
  const inOrder = [...others.filter((one) => !isPass(one)), ...(crowded ? [] : others.filter(isPass))];
  return fitting([...labels, ...running, ...inOrder.map(labelOf)], width);
}

const labelOf = ({ x, width, label }: Spread): Label => ({ x: x + width / 2, text: label });

interface SliderProps {
  held: { value: boolean };
  shown: Spread[];
  children: VNode;
}

function Slider({ held, shown, children }: SliderProps): VNode {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const at = (event: PointerEvent) => stopAt(shown, event.clientX - (event.currentTarget as HTMLElement).getBoundingClientRect().left);
  const stand = () => {
    clearTimeout(timer.current);
    void settle();
  };

  function press(event: PointerEvent): void {
    if (stuck.value || event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    held.value = true;
    preview(at(event));
  }
  function release(event: PointerEvent): void {
    if (!held.value) return;
    held.value = false;
    if (event.type === "pointerup") stand();
    else void letGo();
  }
  function key(event: KeyboardEvent): void {
    if (event.key === "Enter") stand();
    else if (event.key === "Escape") {
      clearTimeout(timer.current);
      void letGo();
    } else {
      const to = moved(event.key, shownStop.value, stops.value - 1);
      if (to === null) return;
      preview(to);
      clearTimeout(timer.current);
      timer.current = window.setTimeout(stand, STAND_AFTER_MS);
    }
    event.preventDefault();
  }
  return (
    <div
      class="time-slider"
      role="slider"
      tabIndex={0}
      aria-label="Time"
      aria-valuemin={0}
      aria-valuemax={stops.value - 1}
      aria-valuenow={shownStop.value}
      aria-valuetext={inWords(shownStop.value)}
      aria-disabled={stuck.value ? "true" : undefined}
      title={stuck.value ?? undefined}
      onPointerDown={press}
      onPointerMove={(event) => held.value && preview(at(event))}
      onPointerUp={release}
      onPointerCancel={release}
      onKeyDown={key}
      onBlur={stand}
    >
      {children}
    </div>
  );
}

/** Where a key moves to, or null where it moves nothing. */
export function moved(key: string, from: number, last: number): number | null {
  const page = Math.max(1, Math.round(last / 10));
  const to: Record<string, number> = {
    ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, PageDown: from - page, PageUp: from + page, Home: 0, End: last,
  }; // prettier-ignore
  const wanted = to[key];
  return wanted === undefined ? null : Math.max(0, Math.min(last, wanted));
}
