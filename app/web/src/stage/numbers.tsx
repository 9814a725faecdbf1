/** Every number in tables: one for each layer, a row for each unit. What the pictures show can be read here. */

import type { VNode } from "preact";
import { useSignal } from "@preact/signals";
import { Symbol } from "../parts/math";
import { Num } from "../parts/num";
import { count, plural } from "../numbers";
import { DECIMALS } from "../state/live";
import { config, fitsGraph, rows, sample, sampleCount, shape, snapshot, training } from "../state/model";
import { called, type LayerShape } from "../state/shape";
import { slotsOf } from "./maps/there";
import { LayerTable } from "./numbers-layer";
import { openAtFirst } from "./numbers/window";
import "./numbers.css";

export function Numbers(): VNode | null {
  const withSlots = useSignal(false);
  const now = snapshot.value;
  if (!shape.value || !now) return null;
  const { layers } = shape.value;
  const slots = slotsOf(config.value!.optimizer);
  const open = openAtFirst(layers);
  return (
    <div class="numbers">
      {training.value && (
        <p class="numbers-note">
          While it trains, numbers are rounded to {DECIMALS} decimals{!fitsGraph.value && "; parameters and gradients are from before"}.
        </p>
      )}
      <div class="numbers-top">
        <Sample />
        {slots.length > 0 && (
          <label class="numbers-switch">
            <input type="checkbox" checked={withSlots.value} onChange={() => (withSlots.value = !withSlots.value)} /> Optimizer state
          </label>
        )}
      </div>
      {layers.map((layer, i) => (
        <Section
          key={layer.name}
          layer={layer}
          before={layers[i - 1]?.name ?? null}
          slots={withSlots.value ? slots : []}
          open={open.has(layer.name)}
        />
      ))}
    </div>
  );
}

interface SectionProps {
  layer: LayerShape;
  before: string | null;
  slots: string[];
  open: boolean;
}

/** A layer; its table is made when it is opened. */
function Section({ layer, before, slots, open }: SectionProps): VNode {
  const shown = useSignal(open);
  const warnings = (snapshot.value!.health?.warnings ?? []).filter((one) => one.layer === layer.name);
  return (
    <details class="numbers-layer" open={shown.value} onToggle={(event) => (shown.value = event.currentTarget.open)}>
      <summary>
        <h2>{layer.name}</h2>
        <span class="small">
          {plural(layer.units, "unit")}, {called(layer.activation)}
          {layer.trainable ? "" : ", frozen"}
        </span>
      </summary>
      {warnings.map(({ kind, text }) => (
        <p key={kind} class="numbers-note">
          <span aria-hidden="true">⚠</span> {text}
        </p>
      ))}
      {shown.value && <LayerTable layer={layer} before={before} slots={slots} />}
    </details>
  );
}

const MOST_LISTED = 16;

/** The sample that goes in, what it should give, and the loss. */
function Sample(): VNode {
  const now = snapshot.value!;
  const i = sample.value;
  const inputs = now.inputs?.[0] ?? rows.value?.inputs?.[i] ?? [];
  const targets = [now.targets?.[0] ?? []].flat();
  const given = (value: number | null) => (now.inputs ? {} : { value });
  return (
    <dl class="numbers-sample">
      {sampleCount.value > 1 && (
        <div>
          <dt>Sample</dt>
          <dd>{count(i + 1)} of {count(sampleCount.value)}</dd>
        </div>
      )}
      {inputs.length <= MOST_LISTED ? (
        inputs.map((value, j) => (
          <div key={`x${j}`}>
            <dt><Symbol of={`inputs[${i}][${j}]`} /></dt>
            <dd><Num of={`inputs[${i}][${j}]`} {...given(value)} /></dd>
          </div>
        ))
      ) : (
        <div>
          <dt>Inputs</dt>
          <dd>{count(inputs.length)}: see the heat maps</dd>
        </div>
      )}
      {targets.length <= MOST_LISTED &&
        targets.map((_, j) => {
          const name = Array.isArray(now.targets?.[0]) ? `targets[${i}][${j}]` : `targets[${i}]`;
          return (
            <div key={`t${j}`}>
              <dt><Symbol of={name} label="target" /></dt>
              <dd><Num of={name} /></dd>
            </div>
          );
        })}
      <div>
        <dt><Symbol of="loss" label="loss" /></dt>
        <dd><Num of="loss" /></dd>
      </div>
    </dl>
  );
}
