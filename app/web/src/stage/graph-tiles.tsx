/** Units as tiles: small pictures of their activation over the plane, which live while the network trains. */

import { computed, useSignalEffect } from "@preact/signals";
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { Symbol } from "../parts/math";
import { colour, diverging, themeChanges } from "../parts/colours";
import { inWords } from "../names";
import { written } from "../numbers";
import { lit, select } from "../state/explaining";
import { rows, sample, shape, shown, snapshot } from "../state/model";
import { plane, SIDE, type Plane } from "../state/plane";
import { NAME, type Box } from "./geometry";
import { at } from "./graph-cards";
import { glow, showsGradients, wrongUnits } from "./graph-model";
import { paint, scaleOf, valuesOf } from "./tiles";

const table = computed(() => (themeChanges.value, diverging()));
const ink = computed(() => (themeChanges.value, colour("--ink")));

/** What is drawn of an input: its own value at each point. */
function inputValues({ domain, probe }: Plane, input: number): number[] {
  if (domain.length === 1) return probe.outputs.map((_, k, all) => -1 + (2 * (k + 0.5)) / all.length);
  return Array.from({ length: SIDE * SIDE }, (_, k) => -1 + (2 * ((input ? Math.floor(k / SIDE) : k % SIDE) + 0.5)) / SIDE);
}

function drawTile(canvas: HTMLCanvasElement, layer: number, unit: number): void {
  const context = canvas.getContext("2d")!;
  const over = plane.value;
  const activation = layer < 0 ? "input" : shape.value!.layers[layer]!.activation;
  const values = over && (layer < 0 ? inputValues(over, unit) : valuesOf(over.probe, layer, unit));
  if (values && over.domain.length === 2) {
    const image = context.createImageData(SIDE, SIDE);
    paint(image.data, values, SIDE, scaleOf(activation, values), table.value);
    context.putImageData(image, 0, 0);
    return;
  }
  const now = snapshot.value;
  const row = (layer < 0 ? now?.inputs : now?.layers[layer]?.a)?.[0] as (number | null)[] | undefined;
  const image = context.createImageData(SIDE, SIDE);
  paint(image.data, Array<number | null>(SIDE * SIDE).fill(values ? null : (row?.[unit] ?? null)), SIDE, scaleOf(activation, row ?? []), table.value);
  context.putImageData(image, 0, 0);
  if (values) drawCurve(context, values, scaleOf(activation, values));
}

function drawCurve(context: CanvasRenderingContext2D, values: (number | null)[], scale: (value: number) => number): void {
  context.strokeStyle = ink.value;
  context.lineWidth = 1.5;
  context.beginPath();
  for (const [k, value] of values.entries()) {
    const y = SIDE / 2 - (SIDE / 2 - 3) * Math.max(-1, Math.min(1, scale(value ?? 0)));
    context.lineTo((k * SIDE) / (values.length - 1), y);
  }
  context.stroke();
}

/** A unit's tile; of an input where `layer` is −1. It draws itself, without the rest of the page, when the plane has changed. */
export function Tile({ layer, unit, box, downwards }: { layer: number; unit: number; box: Box; downwards: boolean }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    if (canvas.current) drawTile(canvas.current, layer, unit);
  });
  const of = layer < 0 ? `inputs[${sample.value}][${unit}]` : `${shape.value!.layers[layer]!.name}.a[${sample.value}][${unit}]`;
  const key = layer < 0 ? `input ${unit}` : `unit ${layer} ${unit}`;
  const state = wrongUnits.value.has(key) ? " mistaken" : glow.value.rings.has(key) ? " ringed" : "";
  const value = shown(of);
  const label = `${inWords(of, rows.value?.inputs?.length ?? 1)}: ${value === null || value === undefined ? "not computed yet" : written(value)}, explain`;
  const side = Math.min(box.w, box.h);
  return (
    <>
      {layer < 0 && (
        <span class="tile-name" style={at(downwards ? { ...box, h: NAME } : { ...box, w: NAME - 2 })}>
          <Symbol of={of} />
        </span>
      )}
      <button
        type="button"
        class={`tile${state}${lit.value.selected === of ? " selected" : ""}`}
        style={at({ x: box.x + box.w - side, y: box.y + box.h - side, w: side, h: side })}
        tabIndex={-1}
        data-of={of}
        aria-label={label}
        aria-pressed={lit.value.selected === of}
        title={label}
        onClick={() => select(of)}
      >
        <canvas ref={canvas} width={SIDE} height={SIDE} />
      </button>
    </>
  );
}

/** A bias before its tile, where the weighted inputs come together. */
export function BiasDot({ layer, unit, box }: { layer: number; unit: number; box: Box }): VNode {
  const { name, bias } = shape.value!.layers[layer]!;
  const entry = `[${bias === "shared" ? 0 : unit}]`;
  const gradient = `${name}.bias.gradient${entry}`;
  const of = showsGradients.value && typeof shown(gradient) === "number" ? gradient : `${name}.bias${entry}`;
  const value = shown(of);
  const label = `${inWords(of)}: ${written(value)}, explain`;
  const sign = typeof value === "number" && value < 0 ? " negative" : "";
  return (
    <button
      type="button"
      class={`dot${sign}${glow.value.rings.has(`bias ${layer} ${unit} -1`) || lit.value.selected === of ? " ringed" : ""}`}
      style={at(box)}
      tabIndex={-1}
      data-of={of}
      aria-label={label}
      aria-pressed={lit.value.selected === of}
      title={label}
      onClick={() => select(of)}
    />
  );
}
