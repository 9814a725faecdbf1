/** A layer's table: what each unit computed, what came back to it, its bias and its weights. */

import type { VNode } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Icon } from "../parts/icon";
import { Num } from "../parts/num";
import { Symbol } from "../parts/math";
import { entry, parse } from "../names";
import { count } from "../numbers";
import { sample, selection } from "../state/model";
import type { LayerShape } from "../state/shape";
import type { Tensor } from "./maps/npy";
import { useTensor, valueAt } from "./maps/tensors";
import { useRoving } from "./numbers/roving";
import { showing, SIDE, windowAt, type Window } from "./numbers/window";

/** What there may be of a parameter: itself, its gradient, and two or three of the optimizer's values. */
const MOST_PARTS = 5;

export interface LayerTableProps {
  layer: LayerShape;
  /** The layer before; null for the first. */
  before: string | null;
  /** The optimizer's values that are shown too. */
  slots: string[];
}

export function LayerTable({ layer, before, slots }: LayerTableProps): VNode {
  const { name } = layer;
  const unitsFrom = useSignal(0);
  const inputsFrom = useSignal(0);
  const units = windowAt(unitsFrom.value, layer.units);
  const inputs = windowAt(inputsFrom.value, layer.inputs);
  const of = selection.value;
  useEffect(() => {
    const place = of === null ? null : parse(of);
    if (place?.layer !== name) return;
    const weight = place.quantity === "weight";
    const unit = weight || place.quantity === "bias" ? place.index[0] : place.index[1];
    if (unit !== undefined) unitsFrom.value = showing(windowAt(unitsFrom.peek(), layer.units), unit).from;
    const input = weight ? place.index[1] : undefined;
    if (input !== undefined) inputsFrom.value = showing(windowAt(inputsFrom.peek(), layer.inputs), input).from;
  }, [of, name]);

  const parts = ["", ".gradient", ...(layer.trainable ? slots.map((slot) => `.state.${slot}`) : [])];
  const weights = useParts(`${name}.weight`, parts);
  const biases = useParts(layer.bias === "none" ? null : `${name}.bias`, parts);
  const i = sample.value;
  const delta = { dL_da: useTensor(`${name}.dL_da[${i}]`).tensor, dL_dz: useTensor(`${name}.dL_dz[${i}]`).tensor };
  // A softmax has a whole table of derivatives for each sample; it is explained, and not listed.
  const derivative = layer.activation !== "softmax";
  const large = weights.some((one) => one === "large");
  const roving = useRoving();
  const rows = range(units);
  const columns = large ? [] : range(inputs);
  const hasBias = layer.bias !== "none";
  return (
    <>
      <div class="numbers-windows">
        <Pager label={`Units of ${name}`} what="unit" window={units} onMove={(from) => (unitsFrom.value = from)} />
        {!large && <Pager label={`Inputs of ${name}`} what="input" window={inputs} onMove={(from) => (inputsFrom.value = from)} />}
        {large && <p class="small">So many weights are not listed.</p>}
      </div>
      <div class="numbers-box">
        <table class="numbers-table" {...roving} aria-label={`Numbers of ${name}`}>
          <thead>
            <tr>
              <th scope="col" rowSpan={2}>unit</th>
              <th scope="colgroup" colSpan={2} class="group">forward</th>
              <th scope="colgroup" colSpan={derivative ? 3 : 2} class="group back">backward</th>
              {hasBias && <th scope="colgroup" colSpan={parts.length} class="group">bias</th>}
              {columns.map((input) => (
                <th key={input} scope="colgroup" colSpan={parts.length} class="group">
                  weight of <Symbol of={before === null ? entry("inputs", 0, input) : entry(`${before}.a`, 0, input)} />
                </th>
              ))}
            </tr>
            <tr>
              <th scope="col" class="group"><Symbol of={`${name}.z`} label="z" /></th>
              <th scope="col"><Symbol of={`${name}.a`} label="activation a" /></th>
              <th scope="col" class="group back"><Symbol of={`${name}.dL_da`} label="gradient of a" /></th>
              {derivative && <th scope="col" class="back"><Symbol of={`${name}.da_dz`} label="derivative of a by z" /></th>}
              <th scope="col" class="back"><Symbol of={`${name}.dL_dz`} label="gradient of z" /></th>
              {hasBias && <Parts parts={parts} of="bias" />}
              {columns.map((input) => <Parts key={input} parts={parts} of={`weight of ${input + 1}`} />)}
            </tr>
          </thead>
          <tbody>
            {rows.map((unit) => (
              <tr key={unit}>
                <th scope="row">{unit + 1}</th>
                <Own of={entry(`${name}.z`, i, unit)} group />
                <Own of={entry(`${name}.a`, i, unit)} />
                <Cell of={entry(`${name}.dL_da`, i, unit)} tensor={delta.dL_da} at={[unit]} class="group back" />
                {derivative && <Own of={entry(`${name}.da_dz`, i, unit)} back />}
                <Cell of={entry(`${name}.dL_dz`, i, unit)} tensor={delta.dL_dz} at={[unit]} class="back" />
                {layer.bias === "per_unit" && parts.map((part, p) => (
                  <Cell key={part} {...cell(`${name}.bias${part}`, biases[p], unit)} class={p ? "" : "group"} />
                ))}
                {layer.bias === "shared" && unit === units.from && parts.map((part, p) => (
                  <Cell key={part} {...cell(`${name}.bias${part}`, biases[p], 0)} class={p ? "shared" : "shared group"} rows={rows.length} />
                ))}
                {columns.map((input) => parts.map((part, p) => (
                  <Cell key={input + part} {...cell(`${name}.weight${part}`, weights[p], unit, input)} class={p ? "" : "group"} />
                )))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

const range = ({ from, to }: Window): number[] => Array.from({ length: to - from }, (_, i) => from + i);

type Part = Tensor | "large" | null;
/** What the cell of an entry shows. */
const cell = (tensor: string, part: Part | undefined, ...at: number[]) => ({
  of: entry(tensor, ...at),
  tensor: typeof part === "object" ? part : null,
  at,
});

/** A parameter's tensors. Hooks want always as many: those that there are not are read as nothing. */
function useParts(parameter: string | null, parts: string[]): Part[] {
  const found: Part[] = [];
  for (let i = 0; i < MOST_PARTS; i++) {
    const part = parts[i];
    const { tensor, status } = useTensor(parameter === null || part === undefined ? null : parameter + part);
    found.push(status === "large" ? "large" : tensor);
  }
  return found;
}

function Parts({ parts, of }: { parts: string[]; of: string }): VNode {
  return (
    <>
      {parts.map((part, p) => (
        <th key={part} scope="col" class={p ? "" : "group"}>
          {part === "" ? "value" : part === ".gradient" ? "gradient" : part.slice(7)}
          <span class="hidden-text"> of {of}</span>
        </th>
      ))}
    </>
  );
}

/** A number that the snapshot has. */
function Own({ of, group = false, back = false }: { of: string; group?: boolean; back?: boolean }): VNode {
  return (
    <td class={`${group ? "group" : ""}${back ? "back" : ""}`}>
      <Num of={of} tabIndex={-1} />
    </td>
  );
}

interface CellProps {
  of: string;
  tensor: Tensor | null;
  at: number[];
  class?: string;
  rows?: number;
}

/** A number of a tensor. */
function Cell({ of, tensor, at, class: extra = "", rows }: CellProps): VNode {
  return (
    <td class={extra} rowSpan={rows}>
      <Num of={of} value={valueAt(tensor, ...at)} tabIndex={-1} />
    </td>
  );
}

interface PagerProps {
  label: string;
  what: string;
  window: Window;
  onMove: (from: number) => void;
}

/** Moves the part of a side that is shown, where it is not shown whole. */
function Pager({ label, what, window: { from, to, of }, onMove }: PagerProps): VNode | null {
  if (of <= SIDE) return null;
  return (
    <div class="numbers-pager" role="group" aria-label={label}>
      <button type="button" class="button square" aria-label={`${label}: earlier`} aria-disabled={from === 0} onClick={() => onMove(from - SIDE)}>
        <Icon name="back" size={14} />
      </button>
      <label>
        {what}s{" "}
        <input
          type="number"
          min={1}
          max={of}
          value={from + 1}
          aria-label={`${label}: from`}
          onChange={(event) => onMove(Number(event.currentTarget.value) - 1)}
        />
      </label>
      <span>
        – {count(to)} of {count(of)}
      </span>
      <button type="button" class="button square" aria-label={`${label}: later`} aria-disabled={to === of} onClick={() => onMove(from + SIDE)}>
        <Icon name="next" size={14} />
      </button>
    </div>
  );
}
