/** Where everything in the graph stands: layers one after another, to the right or downwards, each line through its chip. */

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}
export interface Point {
  x: number;
  y: number;
}

/** What is to be placed. */
export interface Drawing {
  /** Inputs, then the units of each layer. */
  sizes: number[];
  /** Of each layer. */
  biases: ("per_unit" | "shared" | "none")[];
  /** Units as cards with their numbers, or as tiles. */
  cards: boolean;
  /** Whether cards and chips have a row for gradients. */
  back: boolean;
  /** What a number is wider than five decimals are. */
  wider: number;
  /** Rows of targets in the loss card. */
  targets: number;
  /** Whether the loss is a mean over samples, which its card says. */
  mean?: boolean;
}

export interface Line {
  kind: "weight" | "bias" | "loss";
  /** The layer that it belongs to; the loss card comes after the last one. */
  layer: number;
  unit: number;
  /** The input that a weight comes from. */
  input: number;
  path: string;
  /** Where a numbered disc stands on it: near its source, and near its target. */
  marks: [Point, Point];
}

export interface Placed {
  downwards: boolean;
  width: number;
  height: number;
  inputs: Box[];
  units: Box[][];
  /** `weights[layer][unit][input]`; none for tiles. */
  weights: Box[][][];
  /** A chip for each unit, or one; of tiles a dot for each. */
  biases: Box[][];
  loss: Box;
  /** What is outlined when a layer comes next. */
  frames: Box[];
  /** The places of the columns' names: inputs, layers, loss. */
  heads: Box[];
  lines: Line[];
}

/** A centre and a size on the two axes: `along` the way of the forward pass, `across` within a layer. */
interface Place {
  along: number;
  across: number;
  long: number;
  wide: number;
}

/** Sizes on the two axes, in px. */
interface Measures {
  input: [number, number];
  unit: [number, number];
  chip: [number, number];
  bias: [number, number];
  loss: [number, number];
  /** Between neighbours in a layer: at least, at most. */
  pitch: [number, number];
  /** From a layer to the next, around the chips: at least, and at most on top. */
  gap: [number, number];
  /** Between chips: at least, and where there is room. */
  apart: [number, number];
  /** Free room for names before everything, across and along. */
  head: [number, number];
}

/** Between chips, and around everything. */
const APART = 4;
/** Under the last of a column: for the word on the box of what comes next. */
const END = 24;
export const DOT = 24;
const TILE = 34;
const SMALL_TILE = 28;
/** Room for an input's symbol before its tile. */
export const NAME = 22;

function measures({ sizes, cards, back, wider, targets, mean = false }: Drawing, downwards: boolean): Measures {
  const word = mean ? 96 : 0;
  if (!cards) {
    const tile = Math.max(...sizes) > 12 ? SMALL_TILE : TILE;
    const pitch: [number, number] = [tile + (downwards ? 3 : 4), downwards ? 64 : 58];
    const size: [number, number] = [tile, tile];
    const loss: [number, number] = downwards ? [40, 112 + word + wider] : [112 + wider, 40];
    const input: [number, number] = [tile + NAME, tile];
    return { input, unit: size, chip: [0, 0], bias: [DOT, DOT], loss, pitch, gap: downwards ? [44, 60] : [46, 90], apart: [0, 0], head: downwards ? [0, 20] : [74, 0] };
  }
  const chip = 96 + wider;
  const tall = back ? (downwards ? 47 : 50) : 28;
  if (downwards) {
    const row = Math.min(4, targets);
    const loss: [number, number] = [targets > 1 ? 76 : 40, targets > 1 ? Math.max(200, row * 84 + 12) + row * wider : 236 + word + 2 * wider];
    const unit: [number, number] = [back ? 82 : 42, 172 + 2 * wider];
    return { input: [36, 100 + wider], unit, chip: [tall, 84 + wider], bias: [tall, 84 + wider], loss, pitch: [unit[1] + 6, 220 + 2 * wider], gap: [16, 48], apart: [3, 6], head: [0, 20] };
  }
  const unit: [number, number] = [217 + 2 * wider, back ? 92 : 44];
  const few = Math.max(...sizes.slice(1)) <= 2;
  const bias: [number, number] = few ? [108 + wider, tall] : [back ? 178 + 2 * wider : 108 + wider, 28];
  return { input: [96 + wider, 40], unit, chip: [chip, tall], bias, loss: [138 + wider, 72 + 26 * (targets + 1)], pitch: [0, few ? 250 : 190], gap: [18, 60], apart: [6, 22], head: [64, 0] };
}

/** The drawing that fits the room best: to the right where that is readable, downwards otherwise. */
export function place(drawing: Drawing, room: { width: number; height: number }): Placed {
  const right = arrange(drawing, room, false);
  if (right.width <= room.width && right.height <= room.height) return right;
  const down = arrange(drawing, room, true);
  const scale = (one: Placed) => Math.min(1, room.width / one.width, room.height / one.height);
  return scale(right) >= Math.min(0.9, scale(down)) ? right : down;
}

/** How much smaller a drawing is shown so that it fits; below a readable size it is scrolled. */
export function scaleOf({ width, height }: Placed, room: { width: number; height: number }, least: number): number {
  const fits = Math.min(1, room.width / width, room.height / height);
  // What can be read only by scrolling downwards is at least not scrolled sideways.
  return fits >= least ? fits : Math.max(least, Math.min(1, room.width / width));
}

export function arrange(drawing: Drawing, room: { width: number; height: number }, downwards: boolean): Placed {
  const { sizes, biases, cards } = drawing;
  const m = measures(drawing, downwards);
  const layers = sizes.length - 1;
  const [wholeLong, wholeWide] = downwards ? [room.height, room.width] : [room.width, room.height];
  // Biases stand beside the only unit, or between, under or before units; downwards they share a row with the next weights.
  const inRow = (layer: number) => cards && downwards && biases[layer] !== "none" && sizes[layer + 1]! > 1;
  const below = (layer: number) => (cards && !downwards && biases[layer] !== "none" && !isBetween(layer) ? m.bias[1] + reach(layer) : 0);
  const isBetween = (layer: number) => biases[layer] === "shared" && sizes[layer + 1]! > 1;
  const reach = (layer: number) => (sizes[layer + 1]! <= 2 ? 26 : 8);
  const besides = (layer: number) => cards && downwards && biases[layer] !== "none" && sizes[layer + 1] === 1;

  // Across: how far apart, and how much room there is.
  const least = (column: number) => {
    if (column === 0) return m.input[1] + 8;
    if (!cards || downwards) return m.pitch[0];
    const between = isBetween(column - 1) ? m.bias[1] + 2 * 20 : 12;
    return m.unit[1] + Math.max(between, below(column - 1) + 12);
  };
  const ends = sizes.map((many, column) => {
    const one = column === 0 ? m.input[1] : m.unit[1];
    const alone = column > 0 && besides(column - 1) ? m.bias[1] + 10 : 0;
    const under = column > 0 ? below(column - 1) * (many > 2 ? 1 : 2) : 0;
    return one + alone + under;
  });
  const need = sizes.map((many, column) => (many - 1) * least(column) + ends[column]!);
  const end = downwards ? 0 : END;
  const wide = Math.max(wholeWide - m.head[0] - 2 * APART - end, m.loss[1], ...need);
  const centres = sizes.map((many, column) => {
    const pitch = Math.max(least(column), Math.min(m.pitch[1], wide / many, (wide - ends[column]!) / Math.max(1, many - 1)));
    const lift = column > 0 && many > 2 ? below(column - 1) / 2 : 0;
    let middle = m.head[0] + APART + wide / 2 - lift;
    if (column > 0 && besides(column - 1)) middle = Math.min(middle, m.head[0] + APART + wide - m.bias[1] - 10 - m.unit[1] / 2);
    return Array.from({ length: many }, (_, k) => middle + (k - (many - 1) / 2) * pitch);
  });

  // Between two layers stand the chips of the weights, and downwards those of the biases of the layer before.
  const chipsOf = (gap: number): Chip[] => {
    if (!cards) return [];
    const found: Chip[] = [];
    for (let unit = 0; unit < (gap < layers ? sizes[gap + 1]! : 0); unit++) {
      for (let input = 0; input < sizes[gap]!; input++) {
        found.push({ unit, input, ideal: (centres[gap]![input]! + centres[gap + 1]![unit]!) / 2 });
      }
    }
    if (gap > 0 && inRow(gap - 1)) {
      const at = centres[gap]!;
      const middle = Math.floor(at.length / 2);
      const own = isBetween(gap - 1) ? [(at[middle - 1]! + at[middle]!) / 2] : at.map((centre) => centre - m.unit[1] / 4);
      for (const [unit, ideal] of own.entries()) {
        const after = found.findIndex((chip) => chip.ideal > ideal);
        found.splice(after < 0 ? found.length : after, 0, { unit, input: -1, ideal });
      }
    }
    return found;
  };
  const gaps = Array.from({ length: layers + 1 }, (_, gap) => {
    const chips = chipsOf(gap);
    const rows = Math.max(1, Math.ceil(((chips.length - 1) * (m.chip[1] + m.apart[0])) / Math.max(1, wide - m.chip[1])));
    const own = chips.length ? rows * (m.chip[0] + APART) - APART : 0;
    const names = downwards && gap < layers ? m.head[1] : 0;
    const around = gap < layers ? (cards ? 2 * m.gap[0] : m.gap[0]) + names + (gap < layers && !cards && biases[gap] !== "none" ? DOT - 8 : 0) : 0;
    const last = gap === layers ? (chips.length ? 20 + 12 : cards ? 24 : 40) : 0;
    return { chips, rows, own, base: own + around + last };
  });
  const used = m.input[0] + layers * m.unit[0] + m.loss[0] + gaps.reduce((sum, gap) => sum + gap.base, 0);
  const free = Math.max(0, wholeLong - used - 2 * APART);
  const more = Math.min(free / (layers + 0.5), m.gap[1] + (cards ? 0 : 60));
  const long = used + layers * more + 2 * APART;
  let at = APART + Math.max(0, (wholeLong - long) / 2);

  // Along: inputs, then gap and layer by turns, then the loss.
  const inputs = centres[0]!.map((across): Place => ({ along: at + m.input[0] / 2, across, long: m.input[0], wide: m.input[1] }));
  const starts = [at];
  at += m.input[0];
  const columns: Place[][] = [inputs];
  const weights: Place[][][] = [];
  const chipped: Map<number, Place>[] = [];
  const bias: Place[][] = Array.from({ length: layers }, () => []);
  const nameRows: number[] = [];
  for (let gap = 0; gap <= layers; gap++) {
    const { chips, rows, own, base } = gaps[gap]!;
    const stretch = gap < layers ? more : 0;
    const names = downwards && gap < layers ? m.head[1] : 0;
    const above = (base + stretch - own - names) * 0.6;
    // A layer's name stands right above its cards: the biases of the layer before are in the row of the chips.
    nameRows.push(cards ? at + base + stretch - names - 7 : at + above);
    const first = at + (downwards ? above + (cards ? 0 : names) : (base + stretch - own) / 2);
    const half = m.chip[1] / 2;
    const [low, high] = [m.head[0] + APART + half, m.head[0] + APART + wide - half];
    const apart = Math.max((m.chip[1] + m.apart[0]) / rows, Math.min((m.chip[1] + m.apart[1]) / rows, (high - low) / Math.max(1, chips.length - 1)));
    const across = spread(chips.map(({ ideal }) => ideal), apart, low, high);
    const placed = chips.map((_, k): Place => ({
      along: first + m.chip[0] / 2 + (k % rows) * (m.chip[0] + APART),
      across: across[k]!,
      long: m.chip[0],
      wide: m.chip[1],
    }));
    const byUnit: Place[][] = gap < layers ? Array.from({ length: sizes[gap + 1]! }, () => []) : [];
    for (const [k, { unit, input }] of chips.entries()) {
      if (input < 0) bias[gap - 1]!.push(placed[k]!);
      else byUnit[unit]![input] = placed[k]!;
    }
    weights.push(byUnit);
    chipped.push(new Map(placed.map((one, k) => [k, one])));
    at += base + stretch;
    starts.push(at);
    if (gap === layers) break;
    const along = at + m.unit[0] / 2;
    columns.push(centres[gap + 1]!.map((centre): Place => ({ along, across: centre, long: m.unit[0], wide: m.unit[1] })));
    at += m.unit[0];
  }
  const last = columns[layers]!;
  const loss: Place = {
    along: at + m.loss[0] / 2,
    across: last.reduce((sum, { across }) => sum + across, 0) / last.length,
    long: m.loss[0],
    wide: m.loss[1],
  };
  loss.across = Math.min(Math.max(loss.across, m.head[0] + APART + loss.wide / 2), m.head[0] + APART + wide - loss.wide / 2);

  for (let layer = 0; layer < layers; layer++) {
    if (biases[layer] === "none" || inRow(layer)) continue;
    bias[layer] = biasPlaces(columns[layer + 1]!, m, {
      kind: !cards ? "before" : besides(layer) ? "beside" : isBetween(layer) ? "between" : "below",
      reach: reach(layer),
    });
  }
  return finish(drawing, downwards, { columns, weights, bias, loss, starts, nameRows }, Math.max(long, wholeLong), m.head[0] + wide + 2 * APART + end, m);
}

interface Chip {
  unit: number;
  /** −1 for a bias of the layer before. */
  input: number;
  ideal: number;
}

function biasPlaces(units: Place[], { bias: [long, wide] }: Measures, { kind, reach }: { kind: string; reach: number }): Place[] {
  const size = { long, wide };
  if (kind === "between") {
    const middle = Math.floor(units.length / 2);
    const [before, after] = [units[middle - 1]!, units[middle]!];
    return [{ along: before.along, across: (before.across + after.across) / 2, ...size }];
  }
  return units.map((unit) => {
    if (kind === "before") return { along: unit.along - unit.long / 2 - DOT / 2 + 2, across: unit.across, ...size };
    if (kind === "beside") return { along: unit.along, across: unit.across + unit.wide / 2 + 10 + wide / 2, ...size };
    return { along: unit.along, across: unit.across + unit.wide / 2 + reach + wide / 2, ...size };
  });
}

interface Places {
  columns: Place[][];
  weights: Place[][][];
  bias: Place[][];
  loss: Place;
  starts: number[];
  nameRows: number[];
}

/** From the two axes to x and y, with the lines. */
function finish(drawing: Drawing, downwards: boolean, places: Places, long: number, wide: number, m: Measures): Placed {
  const { columns, weights, bias, loss, starts, nameRows } = places;
  const { cards, biases, sizes } = drawing;
  const box = ({ along, across, long: l, wide: w }: Place): Box =>
    downwards ? { x: across - w / 2, y: along - l / 2, w, h: l } : { x: along - l / 2, y: across - w / 2, w: l, h: w };
  const point = (along: number, across: number): Point => (downwards ? { x: across, y: along } : { x: along, y: across });
  const lines: Line[] = [];
  /** Where a line leaves or enters: downwards straight under or over its chip, where a card is wide enough. */
  const port = (unit: Place, towards: number, isInput: boolean) => {
    const play = cards && downwards && !isInput ? unit.wide / 2 - 20 : 0;
    return Math.min(Math.max(towards, unit.across - play), unit.across + play);
  };
  for (let layer = 0; layer < sizes.length - 1; layer++) {
    for (const [unit, to] of columns[layer + 1]!.entries()) {
      for (const [input, from] of columns[layer]!.entries()) {
        const chip = weights[layer]![unit]?.[input];
        const out = from.along + from.long / 2;
        const dotted = !cards && biases[layer] !== "none" ? DOT / 2 - 2 : 0;
        const into = to.along - to.long / 2 - dotted;
        const start: Pair = [out, port(from, chip?.across ?? from.across, layer === 0)];
        const end: Pair = [into, port(to, chip?.across ?? to.across, false)];
        if (chip && downwards) {
          const before: Pair = [chip.along - chip.long / 2, chip.across];
          const after: Pair = [chip.along + chip.long / 2, chip.across];
          const mark = point(before[0] - 10, before[1]);
          const path = `${curve(start, before, point)} L${xy(point(...after))} ${curve(after, end, point).replace(/^M\S+ /, "")}`;
          lines.push({ kind: "weight", layer, unit, input, path, marks: [mark, mark] });
        } else if (chip) {
          lines.push({ kind: "weight", layer, unit, input, ...through(start, [chip.along, chip.across], end, chip.long / 2, point) });
        } else {
          lines.push({ kind: "weight", layer, unit, input, path: curve(start, end, point), marks: [along(start, end, 0.2, point), along(start, end, 0.8, point)] });
        }
      }
    }
    if (!cards) continue;
    for (const [unit, to] of columns[layer + 1]!.entries()) {
      const chip = bias[layer]!.length > 1 ? bias[layer]![unit] : bias[layer]![0];
      if (chip) lines.push({ kind: "bias", layer, unit, input: -1, ...biasLine(to, chip, point) });
    }
  }
  for (const [unit, from] of columns.at(-1)!.entries()) {
    const start: Pair = [from.along + from.long / 2, from.across];
    const reach = loss.wide / 2 - 12;
    const end: Pair = [loss.along - loss.long / 2, Math.min(Math.max(from.across, loss.across - reach), loss.across + reach)];
    const middle = along(start, end, 0.5, point);
    lines.push({ kind: "loss", layer: sizes.length - 1, unit, input: -1, path: curve(start, end, point), marks: [middle, middle] });
  }
  const units = columns.slice(1).map((column) => column.map(box));
  const biasBoxes = bias.map((chips) => chips.map(box));
  const margin = downwards ? 5 : 10;
  const frames = units.map((boxes, layer) => around([...boxes, ...(downwards && cards && sizes[layer + 1]! > 1 ? [] : biasBoxes[layer]!)], margin));
  const heads = starts.map((start, column): Box => {
    if (!downwards) return { x: start, y: 0, w: (starts[column + 1] ?? long) - start - 8, h: m.head[0] };
    return column === 0 || column === starts.length - 1 ? { x: 0, y: 0, w: 0, h: 0 } : { x: APART, y: nameRows[column - 1]!, w: wide - 2 * APART, h: m.head[1] };
  });
  const size = downwards ? { width: wide, height: long } : { width: long, height: wide };
  return {
    downwards, ...size, inputs: columns[0]!.map(box), units, weights: weights.slice(0, -1).map((layer) => layer.map((unit) => unit.map(box))),
    biases: biasBoxes, loss: box(loss), frames, heads, lines,
  }; // prettier-ignore
}

type Pair = [along: number, across: number];
type ToPoint = (along: number, across: number) => Point;

const xy = ({ x, y }: Point): string => `${round(x)},${round(y)}`;
const round = (value: number): number => Math.round(10 * value) / 10;

/** A curve that leaves and arrives in the direction of the pass. */
function curve(from: Pair, to: Pair, point: ToPoint): string {
  const middle = (from[0] + to[0]) / 2;
  return `M${xy(point(...from))} C${xy(point(middle, from[1]))} ${xy(point(middle, to[1]))} ${xy(point(...to))}`;
}

/** A smooth curve through the middle of a chip, with the places of discs just before and after the chip. */
function through(from: Pair, chip: Pair, to: Pair, half: number, point: ToPoint): Pick<Line, "path" | "marks"> {
  const [before, after] = [(chip[1] - from[1]) / (chip[0] - from[0]), (to[1] - chip[1]) / (to[0] - chip[0])];
  // As steep at the chip as on both sides of it; flat where it turns.
  const slope = before * after > 0 ? (2 * before * after) / (before + after) : 0;
  const on = (toChip: number): Pair => [chip[0] + toChip, chip[1] + toChip * slope];
  const [left, right] = [chip[0] - from[0], to[0] - chip[0]];
  const curves: [Pair, Pair, Pair, Pair][] = [
    [from, [from[0] + 0.5 * left, from[1]], on(-0.35 * left), chip],
    [chip, on(0.35 * right), [to[0] - 0.5 * right, to[1]], to],
  ];
  const path = curves.map(([, a, b, end]) => `C${[a, b, end].map((pair) => xy(point(...pair))).join(" ")}`).join(" ");
  const marks = curves.map((curve, k) => point(...reaching(curve, chip[0] + (k ? 1 : -1) * (half + 8)))) as [Point, Point];
  return { path: `M${xy(point(...from))} ${path}`, marks };
}

/** Where a curve has come so far along. */
function reaching([a, b, c, d]: [Pair, Pair, Pair, Pair], far: number): Pair {
  const at = (t: number): Pair => {
    const [p, q, r, s] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
    return [p * a[0] + q * b[0] + r * c[0] + s * d[0], p * a[1] + q * b[1] + r * c[1] + s * d[1]];
  };
  for (let t = 0; t < 1; t += 0.02) if (at(t)[0] >= far) return at(t);
  return d;
}

/** A point on that curve. */
function along(from: Pair, to: Pair, t: number, point: ToPoint): Point {
  const middle = (from[0] + to[0]) / 2;
  const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
  return point(a * from[0] + (b + c) * middle + d * to[0], (a + b) * from[1] + (c + d) * to[1]);
}

/** From a bias to a unit: straight along the column, or up to it from the row of chips below. */
function biasLine(unit: Place, chip: Place, point: ToPoint): { path: string; marks: [Point, Point] } {
  if (chip.along > unit.along + 1) {
    const play = unit.wide / 2 - 20;
    const from: Pair = [unit.along + unit.long / 2, Math.min(Math.max(chip.across, unit.across - play), unit.across + play)];
    const to: Pair = [chip.along - chip.long / 2, chip.across];
    const middle = along(from, to, 0.5, point);
    return { path: curve(from, to, point), marks: [middle, middle] };
  }
  const side = Math.sign(chip.across - unit.across);
  const from: Pair = [unit.along, unit.across + (side * unit.wide) / 2];
  const to: Pair = [unit.along, chip.across - (side * chip.wide) / 2];
  const mark = point(unit.along - 22, (from[1] + to[1]) / 2);
  return { path: `M${xy(point(...from))} L${xy(point(...to))}`, marks: [mark, mark] };
}

function around(boxes: Box[], margin: number): Box {
  const x = Math.min(...boxes.map((box) => box.x)) - margin;
  const y = Math.min(...boxes.map((box) => box.y)) - margin;
  const right = Math.max(...boxes.map((box) => box.x + box.w)) + margin;
  const bottom = Math.max(...boxes.map((box) => box.y + box.h)) + margin;
  return { x, y, w: right - x, h: bottom - y };
}

/** Centres in the order given, as near to the ideal ones as can be, at least so far apart, within bounds where they fit. */
export function spread(ideals: number[], apart: number, low: number, high: number): number[] {
  // Pool adjacent violators: a run of centres that are too near shares the mean of its wishes.
  const runs: { sum: number; many: number }[] = [];
  for (const [k, ideal] of ideals.entries()) {
    let run = { sum: ideal - k * apart, many: 1 };
    for (let before = runs.at(-1); before && before.sum / before.many > run.sum / run.many; before = runs.at(-1)) {
      run = { sum: before.sum + run.sum, many: before.many + run.many };
      runs.pop();
    }
    runs.push(run);
  }
  const top = Math.max(low, high - (ideals.length - 1) * apart);
  const starts = runs.flatMap(({ sum, many }) => Array<number>(many).fill(Math.min(Math.max(sum / many, low), top)));
  return starts.map((start, k) => start + k * apart);
}

/** Of some boxes, the one that an arrow key goes to from another: the nearest in that direction; −1 where there is none. */
export function towards(from: Point, boxes: Point[], key: string): number {
  const [dx, dy] = ARROWS[key] ?? [0, 0];
  let best = -1;
  let least = Infinity;
  for (const [k, { x, y }] of boxes.entries()) {
    const ahead = (x - from.x) * dx + (y - from.y) * dy;
    const aside = Math.abs((x - from.x) * dy) + Math.abs((y - from.y) * dx);
    const far = ahead + 2.5 * aside;
    if (ahead > 2 && far < least) [best, least] = [k, far];
  }
  return best;
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
