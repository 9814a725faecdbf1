/** The two sessions' lives, aligned by epoch; the playhead is dragged, or moved by keys, and both stand there. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { count } from "../numbers";
import { epochA, lastEpoch, other, standBoth, underWay } from "./state";

const [LEFT, RIGHT, A, B] = [8, 32, 26, 46];
const WIDTH = 1000;

export function ComparisonTimeline(): VNode {
  const strip = useRef<SVGSVGElement>(null);
  const dragged = useSignal<number | null>(null);
  const last = lastEpoch();
  const [a, b] = [epochA(), other.value?.session.epochs ?? 0];
  const now = dragged.value ?? last;
  const fork = other.value?.forked ?? null;

  const at = (event: PointerEvent): number => {
    const { left, width } = strip.current!.getBoundingClientRect();
    const share = ((event.clientX - left) / width) * WIDTH;
    return clamp(Math.round(((share - LEFT) / (WIDTH - LEFT - RIGHT)) * last), last);
  };
  const release = () => {
    const to = dragged.value;
    dragged.value = null;
    if (to !== null && to < last) standBoth(to);
  };
  const byKey = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -last, End: last }[event.key];
    if (by !== undefined) dragged.value = clamp(now + by, last);
    else if (event.key === "Enter") release();
    else return;
    event.preventDefault();
  };
  return (
    <section class="timeline" aria-label="Timeline">
      <p class="time-standing">
        <b>Epoch {count(now)}</b>
        <span>{dragged.value === null ? "both aligned by epoch" : "both stand there then"}</span>
      </p>
      <div
        class="compare-strip"
        role="slider"
        tabIndex={0}
        aria-label="Epoch of both"
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={now}
        aria-valuetext={`epoch ${now}, A at ${Math.min(now, a)}, B at ${Math.min(now, b)}${dragged.value === null ? "" : ", Enter stands there"}`}
        aria-disabled={underWay() ? "true" : undefined}
        onKeyDown={byKey}
        onBlur={() => (dragged.value = null)}
        onPointerDown={(event) => {
          if (underWay() || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          dragged.value = at(event);
        }}
        onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && (dragged.value = at(event))}
        onPointerUp={release}
        onPointerCancel={() => (dragged.value = null)}
      >
        <Lives strip={strip} {...{ a, b, now, last, fork }} />
      </div>
    </section>
  );
}

const clamp = (epoch: number, last: number): number => Math.min(last, Math.max(0, epoch));

interface LivesProps {
  strip: { current: SVGSVGElement | null };
  a: number;
  b: number;
  now: number;
  last: number;
  fork: { child: "A" | "B"; epoch: number } | null;
}

function Lives({ strip, a, b, now, last, fork }: LivesProps): VNode {
  const x = (epoch: number) => LEFT + ((WIDTH - LEFT - RIGHT) * epoch) / Math.max(1, last);
  const line = (side: "A" | "B", y: number, end: number) =>
    fork?.child === side ? `M${x(fork.epoch)} ${side === "A" ? B : A}L${x(fork.epoch)} ${y}L${x(end)} ${y}` : `M${x(0)} ${y}L${x(end)} ${y}`;
  const share = (epoch: number) => `${x(epoch) / 10}%`;
  return (
    <>
      <svg ref={strip} viewBox={`0 0 ${WIDTH} 76`} preserveAspectRatio="none" aria-hidden="true">
        <path class="compare-life" d={line("A", A, a)} />
        <path class="compare-life dashed" d={line("B", B, b)} />
        <path class="compare-head" d={`M${x(now)} 12V56`} />
      </svg>
      {[
        { epoch: 0, class: "" },
        ...(fork && fork.epoch > 0 && fork.epoch < last ? [{ epoch: fork.epoch, class: "fork" }] : []),
        ...(last > 0 ? [{ epoch: last, class: "last" }] : []),
      ].map((one) => (
        <span key={one.class} class="compare-tick" style={{ left: share(one.epoch) }} aria-hidden="true">
          {count(one.epoch)}
        </span>
      ))}
      <span class="compare-name a" style={{ left: share(a) }} aria-hidden="true">
        A
      </span>
      <span class="compare-name b" style={{ left: share(b) }} aria-hidden="true">
        B
      </span>
    </>
  );
}
