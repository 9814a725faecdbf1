/** Draws the decision boundary, the fitted curve, and the rows, on canvases of CSS pixels. */

import { scaleLinear } from "d3-scale";
import { colour, diverging } from "../parts/colours";
import { SIDE, type Plane } from "../state/plane";
import { leads, linked, lines, sharesOf, winners, type Meaning, type Point } from "./answers";
import { colourOfClass, shapeOfClass } from "./marks";

/** How much of the diverging scale is used behind marks. */
const MIDDLE = 0.62;

/** A canvas's context, cleared, its unit a CSS pixel. */
export function cleared(canvas: HTMLCanvasElement, size: number): CanvasRenderingContext2D {
  const pixels = Math.round(size * devicePixelRatio);
  if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
  const context = canvas.getContext("2d")!;
  context.setTransform(pixels / size, 0, 0, pixels / size, 0, 0);
  context.clearRect(0, 0, size, size);
  return context;
}

/** Where inputs lie on a picture of this size. */
export function placing(sides: readonly (readonly [number, number])[], size: number): { to: (point: Point) => Point; from: (place: Point) => Point } {
  const [x, y] = [scaleLinear(sides[0]!, [0, size]), scaleLinear(sides[1]!, [size, 0])];
  return { to: ([a, b]) => [x(a), y(b)], from: ([left, top]) => [x.invert(left), y.invert(top)] };
}

let small: HTMLCanvasElement | null = null;

/** The answers over the plane as colours, and the lines where they change sides. */
export function paintPlane(canvas: HTMLCanvasElement, size: number, { probe }: Plane, meaning: Meaning, loss: string): void {
  const context = cleared(canvas, size);
  small ??= Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const image = new ImageData(SIDE, SIDE);
  const colours = meaning.kind === "classes" ? ofClasses(probe.outputs, loss) : ofShares(sharesOf(probe.outputs, loss, meaning));
  for (let row = 0; row < SIDE; row++) image.data.set(colours.subarray(row * SIDE * 4, (row + 1) * SIDE * 4), (SIDE - 1 - row) * SIDE * 4);
  small.getContext("2d")!.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, size, size);
  if (meaning.kind === "value") return;
  const fields =
    meaning.kind === "binary"
      ? [lines(sharesOf(probe.outputs, loss, meaning), SIDE, 0.5)]
      : leads(probe.outputs, meaning.names.length).map((lead) => lines(lead, SIDE, 0));
  context.strokeStyle = colour("--ink");
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  const unit = size / SIDE;
  context.beginPath();
  for (const line of fields.flat()) line.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x * unit, size - y * unit));
  context.stroke();
}

function ofShares(shares: readonly number[]): Uint8ClampedArray {
  const table = diverging(MIDDLE);
  const colours = new Uint8ClampedArray(shares.length * 4);
  shares.forEach((share, i) => {
    if (Number.isNaN(share)) return; // left clear
    const step = Math.round(255 * Math.min(1, Math.max(0, share))) * 3;
    colours.set([table[step]!, table[step + 1]!, table[step + 2]!, 255], i * 4);
  });
  return colours;
}

function ofClasses(outputs: readonly (number | null)[][], loss: string): Uint8ClampedArray {
  const neutral = rgb("--d4");
  const colours = new Uint8ClampedArray(outputs.length * 4);
  winners(outputs, loss).forEach(({ winner, sure }, i) => {
    if (winner < 0) return;
    const own = rgb(colourOfClass(winner));
    const part = MIDDLE * (0.35 + 0.65 * sure);
    colours.set([...neutral.map((value, c) => value + (own[c]! - value) * part), 255], i * 4);
  });
  return colours;
}

function rgb(token: string): number[] {
  return [...colour(token).matchAll(/[\d.]+/g)].slice(0, 3).map(Number);
}

export interface Mark {
  place: Point;
  /** A class; between 0 and 1 a value's share; null for unknown. */
  of: number | null;
  test: boolean;
}

/** The rows; the one that the graph shows in a yellow ring. */
export function paintMarks(context: CanvasRenderingContext2D, marks: readonly Mark[], byClass: boolean, chosen: number | null): void {
  const table = diverging();
  const paths = new Map<number, Path2D>();
  marks.forEach(({ place, of, test }, i) => {
    const kind = byClass && of !== null ? of : 0;
    const path = paths.get(kind) ?? new Path2D(shapeOfClass(kind));
    paths.set(kind, path);
    const step = Math.round(255 * Math.min(1, Math.max(0, of ?? 0.5))) * 3;
    context.save();
    context.translate(...place);
    context.scale(0.9, 0.9);
    if (i === chosen) ring(context);
    context.globalAlpha = test ? 0.5 : 1;
    context.strokeStyle = colour("--surface");
    context.lineWidth = 2.5;
    context.lineJoin = "round";
    context.stroke(path);
    if (byClass || of === null) context.fillStyle = colour(byClass && of !== null ? colourOfClass(of) : "--ink3");
    else context.fillStyle = `rgb(${table[step]} ${table[step + 1]} ${table[step + 2]})`;
    context.fill(path);
    context.restore();
  });
}

function ring(context: CanvasRenderingContext2D): void {
  for (const [token, width] of [["--mark-line", 5], ["--mark", 3]] as const) {
    context.beginPath();
    context.arc(0, 0, 10, 0, 2 * Math.PI);
    context.strokeStyle = colour(token);
    context.lineWidth = width;
    context.stroke();
  }
}

export function paintCross(context: CanvasRenderingContext2D, [x, y]: Point): void {
  for (const [token, width] of [["--surface", 4], ["--ink", 1.5]] as const) {
    context.beginPath();
    for (const [a, b] of [[-11, -3], [3, 11]] as const) {
      context.moveTo(x + a, y);
      context.lineTo(x + b, y);
      context.moveTo(x, y + a);
      context.lineTo(x, y + b);
    }
    context.strokeStyle = colour(token);
    context.lineWidth = width;
    context.stroke();
  }
}

/** The outputs along the one input, over axes with their numbers. */
export function paintCurve(canvas: HTMLCanvasElement, size: number, sides: [number, number][], { domain, probe }: Plane, loss: string): void {
  const context = cleared(canvas, size);
  const { to } = placing(sides, size);
  context.font = '11px "Inter Variable", system-ui, sans-serif';
  context.fillStyle = colour("--ink3");
  context.strokeStyle = colour("--line");
  context.lineWidth = 1;
  for (const [side, axis] of sides.map((side, i) => [side, i] as const)) {
    for (const value of scaleLinear(side, [0, 1]).ticks(5)) {
      const [x, y] = to(axis ? [sides[0]![0], value] : [value, sides[1]![0]]);
      context.beginPath();
      context.moveTo(x, axis ? y : 0);
      context.lineTo(axis ? size : x, y);
      context.stroke();
      const text = String(value).replace("-", "−");
      if (axis && y > 16 && y < size - 24) context.fillText(text, 4, y - 4);
      if (!axis && x > 16 && x < size - 24) context.fillText(text, x + 4, size - 4);
    }
  }
  const [low, high] = domain[0]!;
  const many = probe.outputs.length;
  const answers = probe.outputs.map((output) => linked(output, loss));
  context.strokeStyle = colour("--ink");
  context.lineWidth = 2;
  answers[0]?.forEach((_, of) => {
    context.setLineDash(of ? [6, 4] : []);
    context.beginPath();
    let open = false;
    answers.forEach((answer, i) => {
      const value = answer[of]!;
      const [x, y] = to([low + ((high - low) * (i + 0.5)) / many, value]);
      if (Number.isFinite(value)) context[open ? "lineTo" : "moveTo"](x, y);
      open = Number.isFinite(value);
    });
    context.stroke();
  });
  context.setLineDash([]);
}
