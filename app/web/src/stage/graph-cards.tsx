/** Units, weights, biases, inputs and the loss as cards with their numbers. */

import type { ComponentChildren, VNode } from "preact";
import { Num } from "../parts/num";
import { Symbol } from "../parts/math";
import { count } from "../numbers";
import { sample, sampleCount, shape, snapshot } from "../state/model";
import type { Box } from "./geometry";
import { glow, hasBack, mostCharacters, short, targetNames, wrongUnits } from "./graph-model";

export const at = ({ x, y, w, h }: Box) => ({ left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` });

const ring = (key: string): string => (wrongUnits.value.has(key) ? " mistaken" : glow.value.rings.has(key) ? " ringed" : "");

function Named({ of, children }: { of: string; children?: ComponentChildren }): VNode {
  return (
    <span class="named">
      {children ?? <Symbol of={of} />}
      <Num of={of} tabIndex={-1} most={mostCharacters.value} />
    </span>
  );
}

export function InputPill({ input, box }: { input: number; box: Box }): VNode {
  const of = `inputs[${sample.value}][${input}]`;
  return (
    <div class={`pill${ring(`input ${input}`)}`} style={at(box)}>
      <Named of={of} />
    </div>
  );
}

export function UnitCard({ layer, unit, box }: { layer: number; unit: number; box: Box }): VNode {
  const { name, activation } = shape.value!.layers[layer]!;
  const entry = (quantity: string) => `${name}.${quantity}[${sample.value}][${unit}]`;
  const known = snapshot.value?.layers[layer]?.z;
  return (
    <div class={`unit${known ? "" : " unknown"}${ring(`unit ${layer} ${unit}`)}`} style={at(box)}>
      <div class="row">
        <Named of={entry("z")} />
        <Arrow name={short(activation)} />
        <Named of={entry("a")} />
      </div>
      {hasBack.value && (
        <div class="row returning">
          <Named of={entry("dL_dz")} />
          <Arrow name={`${short(activation)}′`} back />
          <Named of={entry("dL_da")} />
        </div>
      )}
    </div>
  );
}

function Arrow({ name, back = false }: { name: string; back?: boolean }): VNode {
  return (
    <span class="act" aria-hidden="true">
      {name}
      <svg width="24" height="8">
        <path d={back ? "M24 4H1M5 0.5L1 4l4 3.5" : "M0 4h23M19 0.5L23 4l-4 3.5"} />
      </svg>
    </span>
  );
}

/** A parameter: its value, and its gradient from the first backward on. */
function Chip({ of, box, lit }: { of: string; box: Box; lit: boolean }): VNode {
  const gradient = of.replace("[", ".gradient[");
  const wide = box.h < 40;
  return (
    <div class={`chip${wide ? " wide" : ""}${lit ? " ringed" : ""}`} style={at(box)}>
      <Named of={of} />
      {hasBack.value && (
        <Named of={gradient}>
          <math aria-hidden="true">
            <mo>∂</mo>
          </math>
        </Named>
      )}
    </div>
  );
}

export function WeightChip({ layer, unit, input, box }: { layer: number; unit: number; input: number; box: Box }): VNode {
  const of = `${shape.value!.layers[layer]!.name}.weight[${unit}][${input}]`;
  return <Chip of={of} box={box} lit={glow.value.rings.has(`weight ${layer} ${unit} ${input}`)} />;
}

export function BiasChip({ layer, unit, box }: { layer: number; unit: number; box: Box }): VNode {
  const { name, bias } = shape.value!.layers[layer]!;
  const rings = [...glow.value.rings];
  const lit = bias === "shared" ? rings.some((key) => key.startsWith(`bias ${layer} `)) : rings.includes(`bias ${layer} ${unit} -1`);
  return <Chip of={`${name}.bias[${unit}]`} box={box} lit={lit} />;
}

export function LossCard({ box, downwards, cards }: { box: Box; downwards: boolean; cards: boolean }): VNode {
  const targets = targetNames.value;
  const { name, units } = shape.value!.layers.at(-1)!;
  const outputs = Array.from({ length: units }, (_, k) => `${name}.a[${sample.value}][${k}]`);
  const known = snapshot.value?.loss !== null;
  return (
    <div role="group" aria-label="Loss" class={`loss${downwards ? " lying" : ""}${known ? "" : " unknown"}${ring("loss")}`} style={at(box)}>
      {cards && targets.map((target, k) => (
        <Named key={target} of={target}>
          <span class="word">{k === 0 && "target"} <Symbol of={target} /></span>
        </Named>
      ))}
      {cards && !downwards && units === 1 && (
        <Named of={outputs[0]!}>
          <span class="word">output <Symbol of={outputs[0]!} /></span>
        </Named>
      )}
      <span class="named loss-total">
        <Symbol of="loss" />
        {downwards && sampleCount.value > 1 && <span class="word">mean of {count(sampleCount.value)}</span>}
        <Num of="loss" tabIndex={-1} most={mostCharacters.value} />
      </span>
    </div>
  ); // prettier-ignore
}
