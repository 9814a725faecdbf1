/** The network's answers over its two inputs, the decision boundary; or along its one, the fitted curve. Live while it trains. */

import "./boundary.css";
import { computed, signal, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { percent, plain, plural } from "../numbers";
import { Button } from "../parts/button";
import { themeChanges } from "../parts/colours";
import { useWidth } from "../parts/width";
import { showSample } from "../state/actions";
import { panel, rowCount, rows, sample, sampleCount, shape, training } from "../state/model";
import { domain, hasPicture, plane, SIDE, type Side } from "../state/plane";
import { classOf, linked, meaningOf, nearest, sharesOf, winners, type Meaning, type Point } from "./answers";
import { shapeOfClass } from "./marks";
import { cleared, paintCross, paintCurve, paintMarks, paintPlane, placing, type Mark } from "./paint";

/** The class of the points that a click on the picture adds; null while a click shows a row. */
export const pointMode = signal<number | null>(null);
/** What is done with a point that is added. */
export const onPlace = signal<((x: number, y: number) => void) | null>(null);

const CLICK_RADIUS = 14;

const meant = computed<Meaning | null>(() => (rows.value && shape.value ? meaningOf(rows.value, shape.value.sizes.at(-1)!) : null));
const isFlat = computed(() => domain.value?.length === 2);
const marks = computed<Mark[]>(() => (meant.value ? pointsOf(isFlat.value, meant.value) : []));

export function Boundary(): VNode | null {
  return hasPicture.value && meant.value ? <Picture meaning={meant.value} /> : null;
}

function Picture({ meaning }: { meaning: Meaning }): VNode {
  const [square, size] = useWidth<HTMLDivElement>();
  const cross = useSignal<Point | null>(null); // moved by keys
  const hovered = useSignal<Point | null>(null);
  const loss = shape.value!.loss;
  const flat = isFlat.value;
  const sides: Side[] = flat ? domain.value! : [domain.value![0]!, heightOf(meaning)];
  const points = marks.value;
  const place = size ? placing(sides, size) : null;

  const adding = pointMode.value !== null && onPlace.value !== null;
  const selectable = !training.value && sampleCount.value === rowCount.value;
  const pick = (at: Point, within: number) => {
    if (adding) onPlace.value!(...at);
    else if (selectable && place) {
      const found = nearest(points.filter(({ test }) => !test).map(({ place: point }) => place.to(point)), place.to(at), within);
      if (found >= 0) showSample(found);
    }
  };
  const pointer = (event: MouseEvent): Point => {
    const box = square.current!.getBoundingClientRect();
    return place!.from([event.clientX - box.left, event.clientY - box.top]);
  };
  const key = (event: KeyboardEvent) => {
    const step = (event.shiftKey ? 4 : 1) / SIDE;
    const [dx, dy] = ARROWS[event.key] ?? [0, 0];
    const [x, y] = cross.value ?? middle(sides);
    if (dx || dy) cross.value = inside([x + dx * step * width(sides[0]!), y + dy * step * width(sides[1]!)], sides);
    else if (event.key === "Enter" || event.key === " ") pick([x, y], Infinity);
    else if (event.key === "Escape" && (adding || cross.value)) [cross.value, pointMode.value] = [null, null];
    else return;
    hovered.value = null;
    event.preventDefault();
    event.stopPropagation();
  };

  const title = flat ? (meaning.kind === "value" ? "Output over the plane" : "Decision boundary") : "Fitted curve";
  const [first = "x₁", second = "x₂"] = (rows.value!.input_names ?? []).map(withIndex);
  const looked = hovered.value ?? cross.value;
  const said = looked && flat ? answerAt(looked, meaning, loss, [first, second]) : null;
  return (
    <section class="boundary" aria-label={title}>
      <p class="boundary-head">
        <strong>{title}</strong>
        <span>{said ?? (adding ? "click to add a point" : flat ? "output at each point" : "output for each input")}</span>
      </p>
      <div class="boundary-room">
        <div
          ref={square}
          class={`boundary-square${adding ? " adding" : ""}`}
          role="application"
          aria-label={`${title}: ${inAll(meaning, loss, flat)} ${plural(rowCount.value, "row")}.`}
          aria-description={`Arrow keys move the crosshair. Enter ${adding ? "adds a point" : "shows the nearest row"}.`}
          tabIndex={0}
          onPointerMove={(event) => place && (hovered.value = pointer(event))}
          onPointerLeave={() => (hovered.value = null)}
          onBlur={() => (cross.value = null)}
          onClick={(event) => place && pick(pointer(event), CLICK_RADIUS)}
          onKeyDown={key}
        >
          <Answers size={size} sides={sides} meaning={meaning} loss={loss} />
          <Rows size={size} sides={sides} points={points} byClass={meaning.kind !== "value"} cross={cross.value} />
        </div>
      </div>
      <p class="hidden-text" role="status">
        {cross.value && !hovered.value ? said : null}
      </p>
      <div class="boundary-foot">
        <Legend meaning={meaning} scale={flat} test={points.some(({ test }) => test)} />
        {flat && <AddPoints meaning={meaning} />}
      </div>
      <p class="boundary-axes">
        → {first} {inShort(sides[0]!)}, ↑ {flat ? second : "output"} {inShort(sides[1]!)}
      </p>
    </section>
  );
}

/** x1 as x₁. */
const withIndex = (name: string): string => name.replace(/^([a-z])([0-9])$/, (_, letter: string, digit: string) => letter + "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]);
const ARROWS: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const width = ([low, high]: Side): number => high - low;
const middle = (sides: Side[]): Point => [(sides[0]![0] + sides[0]![1]) / 2, (sides[1]![0] + sides[1]![1]) / 2];
const inside = (at: Point, sides: Side[]): Point => at.map((x, i) => Math.min(sides[i]![1], Math.max(sides[i]![0], x))) as Point;

/** The values that a curve is drawn over: those of the targets, and a margin. */
function heightOf(meaning: Meaning): Side {
  if (meaning.kind === "classes") return [-0.1, 1.1];
  const margin = 0.2 * (meaning.high - meaning.low);
  return [meaning.low - margin, meaning.high + margin];
}

function pointsOf(flat: boolean, meaning: Meaning): Mark[] {
  const { inputs, targets, test } = rows.value!;
  const of = (part: { inputs: unknown; targets: unknown } | null, isTest: boolean): Mark[] =>
    ((part?.inputs ?? []) as (number | null)[][]).map((input, i) => {
      const target = ((part?.targets ?? []) as (number | (number | null)[] | null)[])[i] ?? null;
      const first = Array.isArray(target) ? target[0] : meaning.kind === "classes" ? 0 : target;
      return { place: [input[0] ?? 0, flat ? (input[1] ?? 0) : (first ?? 0)], of: flat || meaning.kind !== "value" ? classOf(target, meaning) : null, test: isTest };
    });
  return [...of({ inputs, targets }, false), ...of(test, true)];
}

/** What the network answers near a point, in words. */
function answerAt([x, y]: Point, meaning: Meaning, loss: string, [first, second]: [string, string]): string | null {
  if (!plane.value) return null;
  const cell = (value: number, [low, high]: Side) => Math.min(SIDE - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * SIDE)));
  const [across, up] = plane.value.domain as [Side, Side];
  const output = plane.value.probe.outputs[cell(y, up) * SIDE + cell(x, across)]!;
  const at = `${first} ${plain(Number(x.toFixed(2)))}, ${second} ${plain(Number(y.toFixed(2)))}`;
  const values = linked(output, loss);
  if (meaning.kind !== "classes") return `${at}: output ${plain(Number(values[0]!.toFixed(3)))}`;
  const { winner } = winners([output], loss)[0]!;
  return `${at}: ${meaning.names[winner]}, ${percent(values[winner]!)}`;
}

/** The picture in words. */
function inAll(meaning: Meaning, loss: string, flat: boolean): string {
  const outputs = plane.value?.probe.outputs;
  if (!outputs) return "";
  if (meaning.kind === "classes") {
    const won = winners(outputs, loss);
    const parts = meaning.names.map((name, i) => `${name} ${percent(won.filter(({ winner }) => winner === i).length / won.length)}`);
    return `${parts.join(", ")} of it.`;
  }
  if (meaning.kind === "binary" && flat) {
    const share = sharesOf(outputs, loss, meaning).filter((one) => one > 0.5).length / outputs.length;
    return `${meaning.names[1]} on ${percent(share)} of it, ${meaning.names[0]} on the rest.`;
  }
  const values = outputs.map((output) => output[0] ?? NaN);
  return `outputs from ${plain(Math.min(...values))} to ${plain(Math.max(...values))}.`;
}

interface Layer {
  size: number;
  sides: Side[];
}

function Answers({ size, sides, meaning, loss }: Layer & { meaning: Meaning; loss: string }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const now = plane.value;
  const theme = themeChanges.value;
  useLayoutEffect(() => {
    if (!size || !now) return;
    if (now.domain.length === 2) paintPlane(canvas.current!, size, now, meaning, loss);
    else paintCurve(canvas.current!, size, sides, now, loss);
  }, [size, now, meaning, loss, theme]);
  return <canvas ref={canvas} aria-hidden="true" />;
}

function Rows({ size, sides, points, byClass, cross }: Layer & { points: Mark[]; byClass: boolean; cross: Point | null }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const chosen = sampleCount.value === rowCount.value && rowCount.value > 1 ? sample.value : null;
  const theme = themeChanges.value;
  useLayoutEffect(() => {
    if (!size) return;
    const { to } = placing(sides, size);
    const context = cleared(canvas.current!, size);
    paintMarks(context, points.map((mark) => ({ ...mark, place: to(mark.place) })), byClass, chosen);
    if (cross) paintCross(context, to(cross));
  }, [size, rows.value, sides[0]![0], sides[0]![1], sides[1]![0], sides[1]![1], byClass, chosen, cross, theme]);
  return <canvas ref={canvas} aria-hidden="true" />;
}

const short = (value: number): string => plain(Number(value.toPrecision(2)));
const inShort = ([low, high]: Side): string => `${short(low)} … ${short(high)}`;

function Legend({ meaning, scale, test }: { meaning: Meaning; scale: boolean; test: boolean }): VNode {
  return (
    <ul class="boundary-legend">
      {meaning.kind !== "value" &&
        meaning.names.map((name, i) => (
          <li key={name}>
            <ClassMark of={i} />
            {name}
          </li>
        ))}
      {meaning.kind === "value" && scale && (
        <li>
          <span class="scale" aria-hidden="true" />
          output {inShort([meaning.low, meaning.high])}
          {beyond(meaning)}
        </li>
      )}
      {meaning.kind === "value" && !scale && <li>dots = rows, line = output</li>}
      {test && <li>pale = test data</li>}
    </ul>
  );
}

/** Where outputs are far outside of the scale: how far. */
function beyond({ low, high }: { low: number; high: number }): string {
  const values = (plane.value?.probe.outputs ?? []).map(([value]) => value ?? NaN).filter(Number.isFinite);
  const far: Side = [Math.min(...values), Math.max(...values)];
  return values.length && width(far) > 3 * (high - low) ? `; it goes ${inShort(far)}` : "";
}

/** The mark of a class. */
export function ClassMark({ of }: { of: number }): VNode {
  return (
    <svg width="12" height="12" viewBox="-6 -6 12 12" class={`mark-${of % 6}`} aria-hidden="true">
      <path d={shapeOfClass(of)} />
    </svg>
  );
}

function AddPoints({ meaning }: { meaning: Meaning }): VNode {
  const adding = pointMode.value !== null;
  const toggle = () => {
    panel.value = "edit";
    pointMode.value = adding ? null : meaning.kind === "value" ? 0 : meaning.names.length - 1;
  };
  return (
    <Button pressed={adding} missing={training.value ? "A training is under way. Pause it first." : null} onPress={toggle}>
      {adding ? "Done" : "Add points"}
    </Button>
  );
}
