/** The line between network and panel, which is dragged, or moved by arrow keys. */

import { effect, signal } from "@preact/signals";
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { panelWidth } from "../state/settings";
import { wide } from "../state/width";

const STEP = 24;
const LEAST = 360;
const LEAST_STAGE = 640;

const viewport = signal(innerWidth);
addEventListener("resize", () => (viewport.value = innerWidth));

const usual = (): number => (wide.value ? 880 : 440);
const most = (): number => Math.max(LEAST, viewport.value - LEAST_STAGE);
const within = (width: number): number => Math.round(Math.max(LEAST, Math.min(most(), width)));
const width = (): number => within(panelWidth.value ?? usual());

effect(() => document.documentElement.style.setProperty("--panel-width", `${width()}px`));

export function Splitter(): VNode {
  const held = useRef(false);
  function key(event: KeyboardEvent): void {
    const places: Record<string, number> = { ArrowLeft: width() + STEP, ArrowRight: width() - STEP, Home: most(), End: LEAST };
    const wanted = places[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    panelWidth.value = within(wanted);
  }
  return (
    <div
      class="splitter"
      role="separator"
      aria-label="Width of the details"
      aria-orientation="vertical"
      aria-valuemin={LEAST}
      aria-valuemax={most()}
      aria-valuenow={width()}
      aria-valuetext={`${width()} pixels`}
      tabIndex={0}
      onKeyDown={key}
      onDblClick={() => (panelWidth.value = null)}
      onPointerDown={(event) => {
        held.current = true;
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => held.current && (panelWidth.value = within(innerWidth - event.clientX))}
      onPointerUp={() => (held.current = false)}
      onPointerCancel={() => (held.current = false)}
    />
  );
}
