/** Rows and columns of numbers as pixels. */

/** A table of numbers, row by row. */
export interface Grid {
  rows: number;
  columns: number;
  values: ArrayLike<number>;
}

export interface Paint {
  /** The diverging scale: 256 colours from − to +. */
  colours: ArrayLike<number>;
  /** What the strongest colour stands for. */
  limit: number;
  /** The colour of what is no number; nothing is drawn there without it. */
  odd?: readonly [number, number, number];
}

/**
 * A grid as width × height pixels. Enlarged, a cell is a sharp rectangle; made smaller, a pixel is the mean of the cells
 * in it, so that no row or column is lost.
 */
export function pixels({ rows, columns, values }: Grid, width: number, height: number, paint: Paint): Uint8ClampedArray<ArrayBuffer> {
  const { colours, limit, odd } = paint;
  const drawn = new Uint8ClampedArray(width * height * 4);
  const across = ranges(columns, width);
  const down = ranges(rows, height);
  let above = -1;
  for (let y = 0, at = 0; y < height; y++) {
    const [top, bottom] = [down[2 * y]!, down[2 * y + 1]!];
    if (top === above && bottom === top + 1) {
      drawn.copyWithin(at, at - 4 * width, at); // the same row of cells again
      at += 4 * width;
      continue;
    }
    above = top;
    for (let x = 0; x < width; x++, at += 4) {
      const [left, right] = [across[2 * x]!, across[2 * x + 1]!];
      let sum = 0;
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) sum += values[row * columns + column]!;
      }
      const mean = sum / ((bottom - top) * (right - left));
      if (!Number.isFinite(mean)) {
        if (odd) drawn.set([...odd, 255], at);
        continue;
      }
      const step = 3 * shade(mean, limit);
      drawn[at] = colours[step]!;
      drawn[at + 1] = colours[step + 1]!;
      drawn[at + 2] = colours[step + 2]!;
      drawn[at + 3] = 255;
    }
  }
  return drawn;
}

/** The place of a value on a scale of 256; zero is between the two in the middle, and takes the upper. */
export function shade(value: number, limit: number): number {
  if (limit <= 0) return 128;
  return Math.max(0, Math.min(255, Math.round(127.5 + (127.5 * value) / limit)));
}

/** For each pixel along a side, the first cell in it and the one after its last. */
function ranges(cells: number, length: number): Int32Array {
  const found = new Int32Array(2 * length);
  for (let i = 0; i < length; i++) {
    const first = Math.min(cells - 1, Math.floor((i * cells) / length));
    found[2 * i] = first;
    found[2 * i + 1] = Math.max(first + 1, Math.floor(((i + 1) * cells) / length));
  }
  if (cells <= length) for (let i = 0; i < length; i++) found[2 * i + 1] = found[2 * i]! + 1;
  return found;
}

/** The sides of a square picture of so many values; null where they make none, or one too small to be one. */
export function squareSide(values: number): number | null {
  const side = Math.round(Math.sqrt(values));
  return side * side === values && side >= 4 ? side : null;
}

const ONE_ROW = 6;

/** A list of values as one row, or a grid about twice as wide as high, its end filled up with gaps. */
export function block(values: ArrayLike<number>): Grid {
  const columns = values.length <= ONE_ROW ? Math.max(1, values.length) : Math.ceil(Math.sqrt(2 * values.length));
  const rows = Math.max(1, Math.ceil(values.length / columns));
  const filled = new Float64Array(rows * columns).fill(NaN);
  filled.set(Array.from(values));
  return { rows, columns, values: filled };
}

/** How large a grid is drawn in a room: cells are square where that fits, at most `most` wide, at least 2 high. */
export function sizeIn(room: number, { rows, columns }: Pick<Grid, "rows" | "columns">, tallest = 270, most = 40): [number, number] {
  const cell = Math.min(most, room / columns);
  const width = Math.max(Math.min(room, 24), cell * columns);
  return [width, Math.max(24, Math.min(tallest, rows * Math.max(cell, 2)))];
}

/** The row and the column under a point, given as shares of the width and the height. */
export function cellAt({ rows, columns }: Pick<Grid, "rows" | "columns">, x: number, y: number): [number, number] {
  const inside = (share: number, many: number) => Math.max(0, Math.min(many - 1, Math.floor(share * many)));
  return [inside(y, rows), inside(x, columns)];
}

/** Where a key takes the crosshair; null where it is no key of it. */
export function moved([row, column]: readonly [number, number], key: string, { rows, columns }: Pick<Grid, "rows" | "columns">): [number, number] | null {
  const to: Record<string, [number, number]> = {
    ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
    Home: [row, 0], End: [row, columns - 1], PageUp: [row - 10, column], PageDown: [row + 10, column],
  }; // prettier-ignore
  const wanted = to[key];
  if (!wanted) return null;
  return [Math.max(0, Math.min(rows - 1, wanted[0])), Math.max(0, Math.min(columns - 1, wanted[1]))];
}
