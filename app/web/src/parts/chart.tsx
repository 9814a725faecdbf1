/** A chart over epochs: uPlot, in the page's colours. Drag, or + and − at the crosshair, to zoom. */

import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { signal, type Signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { count, written } from "../numbers";
import { apart, epochRange, ticks, tickText, valueRange, zoomedBy, type Range } from "./axes";
import { colour, themeChanges } from "./colours";

export interface Line {
  /** Written at the line's end where there are several, and before its values. */
  label: string;
  values: readonly (number | null)[];
  dashed?: boolean;
}

export interface ChartProps {
  title: string;
  /** Epochs, ascending: one for each value of each line. */
  x: readonly number[];
  lines: readonly Line[];
  log?: boolean;
  height?: number;
  /** The last epoch that there may be, while more come: the axis then ends at a round number. */
  end?: number | null;
  /** Values beyond these never need room: [0, 1] for shares. */
  limits?: Range;
  /** How its values are written. */
  write?: (value: number | null | undefined, index?: number) => string;
  /** How its axis is labelled. */
  tick?: (value: number) => string;
  /** Upright dotted lines with a word: where a fork was made. */
  marks?: readonly { x: number; label: string }[];
  /** Charts of one group share their crosshair. */
  group?: string;
  /** The epochs that are zoomed to; shared by charts that zoom together. */
  zoom?: Signal<Range | null>;
  /** Also said where the crosshair is: "B − A −0.00226". */
  also?: (index: number) => string;
  /** The least room at the right, so that charts below each other have their epochs in line. */
  right?: number;
  /** Write the last value after the label at the end of a line. */
  endValues?: boolean;
}

const justWritten = (value: number | null | undefined) => written(value);

const FONT = '12px "Inter Variable", system-ui, sans-serif';
const LABEL_FONT = `600 ${FONT}`;
const LINE_HEIGHT = 14;

export function Chart(props: ChartProps): VNode {
  const { title, x, lines, log = false, height = 150, write = justWritten, also } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const own = useRef<Signal<Range | null>>(null);
  const zoom = props.zoom ?? (own.current ??= signal(null));
  const [hovered, setHovered] = useState<number | null>(null);
  const now = useRef({ ...props, zoom });
  now.current = { ...props, zoom };
  const zoomed = zoom.value;
  const theme = themeChanges.value;

  // A line more, or one less, is another plot.
  const kind = lines.map(({ dashed }) => (dashed ? "-" : "_")).join("");
  useLayoutEffect(() => {
    const made = create(box.current!, () => now.current, setHovered);
    plot.current = made;
    const room = new ResizeObserver(() => {
      const width = Math.floor(box.current!.clientWidth);
      if (width > 0) made.setSize({ width, height: now.current.height ?? 150 });
    });
    room.observe(box.current!);
    return () => {
      room.disconnect();
      made.destroy();
    };
  }, [kind]);

  useLayoutEffect(() => {
    const made = plot.current!;
    made.batch(() => {
      made.setData(dataOf(now.current), false);
      const [min, max] = zoomed ?? epochRange(x, props.end);
      made.setScale("x", { min, max });
    });
  }, [kind, x, lines, log, zoomed, props.end]);

  useEffect(() => plot.current!.redraw(false, true), [theme]);

  const at = hovered !== null && hovered < x.length ? hovered : x.length - 1;
  const said = lines.map(({ label, values }) => ({ label, text: write(values[at], at) }));
  const values = said.map(({ label, text }) => (lines.length > 1 ? `${label} ${text}` : text)).join(", ");
  return (
    <figure class="chart">
      <figcaption class="chart-head">
        <h2>{title}</h2>
        <span class="chart-values">
          {hovered !== null && x.length > 0 && <span>epoch {count(x[at]!)}</span>}
          {said.map(({ label, text }) => (
            <span key={label}>
              {lines.length > 1 && `${label} `}
              {text}
            </span>
          ))}
          {hovered !== null && also && <span>{also(at)}</span>}
        </span>
      </figcaption>
      <div
        ref={box}
        class="chart-plot"
        role="img"
        tabIndex={0}
        aria-label={`${title} over ${count(x.at(-1) ?? 0)} epochs. At epoch ${count(x[at] ?? 0)}: ${values}.`}
        aria-keyshortcuts="ArrowLeft ArrowRight + -"
        style={{ height: `${height}px` }}
        onKeyDown={(event) => plot.current && byKey(event, plot.current, now.current)}
        onBlur={() => plot.current && putCursor(plot.current, -10)}
      />
    </figure>
  );
}

function dataOf({ x, lines, log }: ChartProps): uPlot.AlignedData {
  const shown = (values: Line["values"]) => (log ? values.map((value) => (value !== null && value > 0 ? value : null)) : values);
  return [x, ...lines.map(({ values }) => shown(values))] as uPlot.AlignedData;
}

type Now = () => ChartProps & { zoom: Signal<Range | null> };

function create(box: HTMLElement, now: Now, setHovered: (index: number | null) => void): uPlot {
  const { lines, group, height = 150 } = now();
  const axis: uPlot.Axis = {
    font: FONT.replace("12px", "11px"),
    stroke: () => colour("--ink3"),
    ticks: { show: false },
  };
  const line = ({ dashed }: Line): uPlot.Series => ({
    stroke: () => colour("--ink"),
    width: 1.75,
    ...(dashed ? { dash: [6, 4] } : {}),
    points: { show: (_, i, from, to) => to - from < 2 && now().lines[i - 1] !== undefined },
  });
  const options: uPlot.Options = {
    width: Math.max(80, box.clientWidth),
    height,
    padding: [8, () => labelRoom(now()), 0, 0],
    legend: { show: false },
    series: [{}, ...lines.map(line)],
    scales: {
      x: { time: false, auto: false },
      y: {
        // Linear, logarithmic: one plot can be either.
        distr: 100,
        fwd: (value) => (now().log ? Math.log10(value) : value),
        bwd: (value) => (now().log ? 10 ** value : value),
        range: (plot) => valueRange(shownPart(plot, now()), now().log ?? false, now().limits),
      },
    },
    axes: [
      {
        ...axis,
        size: 24,
        gap: 6,
        grid: { show: false },
        incrs: [1, 2, 5].flatMap((step) => Array.from({ length: 10 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b),
        space: 52,
        values: (_, splits) => splits.map(count),
      },
      {
        ...axis,
        size: 46,
        gap: 6,
        grid: { stroke: () => colour("--line"), width: 1 },
        // Its own steps end at 1e32, beyond which it would draw no axis; where the lines are, `splits` says.
        incrs: (_, __, low, high) => [Math.max(5, high - low)],
        splits: (plot, _, low, high) => ticks([low, high], now().log ?? false, plot.height < 120 ? 3 : 5),
        filter: (_, splits) => splits,
        values: (_, splits) => splits.map(now().tick ?? tickText),
      },
    ],
    cursor: {
      y: false,
      points: { size: 8, width: 2, stroke: () => colour("--ink"), fill: (_, i) => colour(now().lines[i - 1]?.dashed ? "--surface" : "--ink") },
      drag: { x: true, y: false, setScale: false },
      bind: {
        dblclick: () => () => {
          now().zoom.value = null;
          return null;
        },
      },
      ...(group ? { sync: { key: group, scales: ["x", null], filters: { pub: isMove, sub: isMove } } } : {}),
    },
    hooks: {
      setCursor: [(plot) => setHovered((plot.cursor.left ?? -1) < 0 ? null : (plot.cursor.idx ?? null))],
      setSelect: [(plot) => select(plot, now().zoom)],
      draw: [(plot) => drawMarks(plot, now()), (plot) => drawLabels(plot, now())],
    },
  };
  return new uPlot(options, dataOf(now()), box);
}

const isMove = (type: string): boolean => type === "mousemove" || type === "mouseleave";

/** The values in the epochs on the screen. */
function shownPart(plot: uPlot, { x, lines }: ChartProps): (number | null)[][] {
  const { min, max } = plot.scales.x!;
  const from = min == null ? 0 : Math.max(0, x.findIndex((epoch) => epoch >= min));
  const past = max == null ? -1 : x.findIndex((epoch) => epoch > max);
  return lines.map(({ values }) => values.slice(from, past < 0 ? undefined : past));
}

function select(plot: uPlot, zoom: Signal<Range | null>): void {
  const { left, width } = plot.select;
  if (width < 4) return;
  const [low, high] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (high - low >= 1) zoom.value = [Math.max(0, low), high];
}

function byKey(event: KeyboardEvent, plot: uPlot, { x, zoom }: ReturnType<Now>): void {
  const isOn = (plot.cursor.left ?? -1) >= 0;
  const at = isOn ? (plot.cursor.idx ?? 0) : x.length;
  const { min, max } = plot.scales.x!;
  const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
  if (by !== undefined) {
    const to = Math.min(x.length - 1, Math.max(0, at + by));
    putCursor(plot, plot.valToPos(x[to] ?? 0, "x"));
  } else if ((event.key === "+" || event.key === "-") && min != null && max != null) {
    zoom.value = zoomedBy(event.key === "+" ? 0.5 : 2, [min, max], x[at] ?? x.at(-1) ?? 0, epochRange(x));
  } else if (event.key === "0") {
    zoom.value = null;
  } else {
    return;
  }
  event.preventDefault();
}

/** Puts the crosshair somewhere, in all charts of its group: what the types do not say is that it can be published. */
function putCursor(plot: uPlot, left: number): void {
  const put = plot.setCursor as (at: { left: number; top: number }, fire: boolean, publish: boolean) => void;
  put({ left, top: Math.min(left, 0) }, true, true);
}

const measure = document.createElement("canvas").getContext("2d");

function endLabels({ lines, endValues, write = justWritten }: ChartProps): string[] {
  return lines.map(({ label, values }) => (endValues ? `${label} ${write(values.findLast((value) => value !== null))}` : label));
}

function labelRoom(props: ChartProps): number {
  const least = props.right ?? 12;
  if (!measure || props.lines.length < 2) return least;
  measure.font = LABEL_FONT;
  return Math.max(least, ...endLabels(props).map((text) => measure.measureText(text).width + 14));
}

/** Each line's label behind its last value on the screen, clear of the others. */
function drawLabels(plot: uPlot, props: ChartProps): void {
  const { x, lines } = props;
  if (lines.length < 2) return;
  const { ctx, bbox } = plot;
  const { pxRatio } = uPlot;
  const max = plot.scales.x!.max ?? Infinity;
  const places = lines.map(({ values }) => {
    let last = x.length - 1;
    while (last > 0 && (x[last]! > max || values[last] == null || (props.log && values[last]! <= 0))) last--;
    const value = values[last];
    if (value == null || (props.log && value <= 0)) return null;
    return { left: plot.valToPos(Math.min(x[last]!, max), "x", true), top: plot.valToPos(value, "y", true) };
  });
  const tops = apart(
    places.map((place) => place?.top ?? bbox.top),
    LINE_HEIGHT * pxRatio,
    [bbox.top, bbox.top + bbox.height],
  );
  const left = Math.max(...places.map((place) => place?.left ?? 0)) + 6 * pxRatio;
  ctx.save();
  ctx.font = LABEL_FONT.replace("12px", `${12 * pxRatio}px`);
  ctx.fillStyle = colour("--ink");
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  endLabels(props).forEach((text, i) => places[i] && ctx.fillText(text, left, tops[i]!));
  ctx.restore();
}

function drawMarks(plot: uPlot, { marks = [] }: ChartProps): void {
  const { ctx, bbox } = plot;
  const { pxRatio } = uPlot;
  ctx.save();
  ctx.strokeStyle = colour("--ink3");
  ctx.fillStyle = colour("--ink3");
  ctx.font = FONT.replace("12px", `${11 * pxRatio}px`);
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.lineWidth = pxRatio;
  ctx.setLineDash([2 * pxRatio, 3 * pxRatio]);
  for (const { x, label } of marks) {
    const left = plot.valToPos(x, "x", true);
    if (left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(label).width;
    const fits = left + width + 8 * pxRatio < bbox.left + bbox.width;
    ctx.fillText(label, fits ? left + 6 * pxRatio : left - width - 6 * pxRatio, bbox.top);
  }
  ctx.restore();
}
