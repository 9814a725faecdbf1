/** The network as a strip: the sample that goes in, each layer's activations, what comes out, and the loss. */

import type { ComponentChildren, VNode } from "preact";
import { useMemo } from "preact/hooks";
import { Icon } from "../parts/icon";
import { Num } from "../parts/num";
import { count, plural } from "../numbers";
import { catalog, config, rows, sample, sampleCount, shape, snapshot } from "../state/model";
import { biasEntries, called, typeOf, type LayerShape } from "../state/shape";
import { Canvas } from "./maps/canvas";
import { block, squareSide } from "./maps/picture";
import { scaleOf } from "./maps/statistics";
import { choose, isWeights, shownTensor } from "./maps/shown";
import { verdict } from "./maps/verdict";

type Row = (number | null)[];
const MOST_BARS = 16;
/** Of a layer of more units the first ones stand for it. */
const MOST_DRAWN = 512;

export function LayerStrip(): VNode {
  const now = snapshot.value!;
  const { layers, inputs } = shape.value!;
  const own = now.inputs?.[0] ?? rows.value?.inputs?.[sample.value] ?? null;
  return (
    <ol class="strip" aria-label="Layers">
      <Card title="Input" layer={null} picture={own && <Picture values={own} />}>
        <span>{plural(inputs, "value")}</span>
        {sampleCount.value > 1 && <span>sample {count(sample.value + 1)} of {count(sampleCount.value)}</span>}
      </Card>
      {layers.map((layer, i) => (
        <LayerCard key={layer.name} layer={layer} last={i === layers.length - 1} />
      ))}
      <li>
        <div class="card">
          <span class="card-words">
            <strong>Loss</strong>
            <Num of="loss" />
            <span>{averaged()}</span>
          </span>
        </div>
      </li>
    </ol>
  );
}

function averaged(): string {
  const loss = config.value!.loss;
  if (sampleCount.value <= 1) return called(typeOf(loss));
  const reduction = typeof loss === "object" && loss.reduction === "sum" ? "sum" : "mean";
  return `${reduction} of ${count(sampleCount.value)}`;
}

function LayerCard({ layer, last }: { layer: LayerShape; last: boolean }): VNode {
  const now = snapshot.value!;
  const a = (now.layers.find(({ name }) => name === layer.name)?.a?.[0] ?? null) as Row | null;
  const health = now.health?.layers.find(({ name }) => name === layer.name);
  const answer = last && a ? verdict(a, now.targets?.[0], classNames(layer.units)) : null;
  const bars = last && layer.units > 1 && layer.units <= MOST_BARS;
  return (
    <Card
      title={layer.name}
      layer={layer.name}
      picture={bars ? <Bars values={a} names={classNames(layer.units)} units={layer.units} /> : a && <Picture values={a} />}
    >
      <span>{plural(layer.units, "unit")}, {called(layer.activation)}</span>
      {answer ? <span>{answer}</span> : <span>{plural(layer.units * layer.inputs + biasEntries(layer), "parameter")}</span>}
      {Boolean(health?.dead_units) && <Warning text={plural(health!.dead_units!, "dead unit")} />}
      {Boolean(health?.saturated_units) && <Warning text={plural(health!.saturated_units!, "saturated unit")} />}
    </Card>
  );
}

function classNames(units: number): string[] {
  const kind = catalog.value?.data.find(({ type }) => type === typeOf(config.value?.data));
  const names = (kind as { class_names?: string[] | null } | undefined)?.class_names;
  return names?.length === units ? names : Array.from({ length: units }, (_, i) => String(i));
}

function Warning({ text }: { text: string }): VNode {
  return (
    <span class="card-warning">
      <Icon name="warning" size={14} /> {text}
    </span>
  );
}

interface CardProps {
  title: string;
  layer: string | null;
  picture: VNode | null;
  children: ComponentChildren;
}

function Card({ title, layer, picture, children }: CardProps): VNode {
  const shown = shownTensor.value;
  const show = () => {
    const usable = layer !== null || !isWeights(shown.quantity);
    choose({ layer, quantity: usable ? shown.quantity : "value" });
  };
  return (
    <li>
      <button type="button" class="card" aria-pressed={shown.layer === layer} onClick={show}>
        {picture}
        <span class="card-words">
          <strong>{title}</strong>
          {children}
        </span>
      </button>
      <span class="strip-arrow" aria-hidden="true">
        →
      </span>
    </li>
  );
}

/** One sample's values in a layer: as a picture where they are one, else side by side. */
function Picture({ values }: { values: Row }): VNode {
  const drawn = useMemo(() => {
    const numbers = values.slice(0, MOST_DRAWN * 2).map((value) => value ?? NaN);
    const side = squareSide(values.length);
    const whole = side !== null && side >= 8 && numbers.length === values.length;
    const grid = whole ? { rows: side, columns: side, values: numbers } : block(numbers.slice(0, MOST_DRAWN));
    return { grid, limit: scaleOf(numbers) };
  }, [values]);
  const square = drawn.grid.rows > 1 && drawn.grid.rows === drawn.grid.columns;
  const cell = Math.min(16, 96 / drawn.grid.columns, 56 / drawn.grid.rows);
  const [width, height] = square ? [56, 56] : [cell * drawn.grid.columns, cell * drawn.grid.rows];
  return <Canvas grid={drawn.grid} limit={drawn.limit} width={width} height={height} />;
}

/** What a layer of a few units answers, as bars: up for +, down for −. */
function Bars({ values, names, units }: { values: Row | null; names: string[]; units: number }): VNode {
  const most = Math.max(...(values ?? []).map((value) => Math.abs(value ?? 0)), 0) || 1;
  const down = values?.some((value) => (value ?? 0) < 0);
  const up = values?.some((value) => (value ?? 0) > 0) ?? true;
  const room = 40;
  const zero = down ? (up ? room / 2 : 0) : room;
  const scale = down && up ? room / 2 : room;
  const named = names.every((name) => name.length < 3);
  return (
    <svg class="card-bars" width={12 * units} height={named ? 56 : 44} aria-hidden="true">
      <line x1="0" x2={12 * units} y1={zero + 1} y2={zero + 1} />
      {values?.map((value, i) => {
        const high = (Math.abs(value ?? 0) / most) * scale;
        const below = (value ?? 0) < 0;
        const y = below ? zero + 1 : zero + 1 - high;
        return <rect key={i} class={below ? "minus" : "plus"} x={12 * i + 1.5} width="9" y={y} height={high} />;
      })}
      {named && names.map((name, i) => <text key={i} x={12 * i + 6} y="55">{name}</text>)}
    </svg>
  );
}
