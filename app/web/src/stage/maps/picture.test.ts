import { describe, expect, it } from "vitest";
import { block, cellAt, moved, pixels, shade, sizeIn, squareSide } from "./picture";

/** A scale whose colours say their own step. */
const colours = Array.from({ length: 768 }, (_, i) => (i % 3 === 0 ? i / 3 : 0));
const reds = (drawn: Uint8ClampedArray) => Array.from({ length: drawn.length / 4 }, (_, i) => drawn[4 * i]);

describe("shade", () => {
  it("goes from − to +, and stops at the ends", () => {
    expect([-2, -1, 0, 1, 2].map((value) => shade(value, 1))).toEqual([0, 0, 128, 255, 255]);
  });
  it("is neutral without a scale", () => {
    expect(shade(0, 0)).toBe(128);
  });
});

describe("pixels", () => {
  it("draws cells as sharp rectangles", () => {
    const grid = { rows: 2, columns: 2, values: [-1, 1, 1, -1] };
    const [minus, plus] = [0, 255];
    expect(reds(pixels(grid, 4, 4, { colours, limit: 1 }))).toEqual(
      [minus, minus, plus, plus, minus, minus, plus, plus, plus, plus, minus, minus, plus, plus, minus, minus], // prettier-ignore
    );
  });
  it("draws the mean of cells that share a pixel", () => {
    const grid = { rows: 2, columns: 4, values: [1, 1, -1, 0, 1, 1, -1, 0] };
    expect(reds(pixels(grid, 2, 1, { colours, limit: 1 }))).toEqual([255, shade(-0.5, 1)]);
  });
  it("loses no column when a few do not divide evenly", () => {
    const grid = { rows: 1, columns: 5, values: [0, 0, 0, 0, 8] };
    expect(reds(pixels(grid, 3, 1, { colours, limit: 1 })).at(-1)).toBe(255);
  });
  it("marks what is no number, or leaves it clear", () => {
    const grid = { rows: 1, columns: 2, values: [NaN, Infinity] };
    expect([...pixels(grid, 2, 1, { colours, limit: 1, odd: [9, 8, 7] })]).toEqual([9, 8, 7, 255, 9, 8, 7, 255]);
    expect([...pixels(grid, 2, 1, { colours, limit: 1 })]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe("squareSide", () => {
  it("knows pictures from other inputs", () => {
    expect([64, 784, 4, 10, 65].map(squareSide)).toEqual([8, 28, null, null, null]);
  });
});

describe("block", () => {
  it("fills up its last row with gaps", () => {
    expect(block([1, 2, 3, 4])).toEqual({ rows: 1, columns: 4, values: new Float64Array([1, 2, 3, 4]) });
    const { rows, columns, values } = block(Array(10).fill(1));
    expect([rows, columns]).toEqual([2, 5]);
    expect(values.length).toBe(10);
    expect(Array.from(block(Array(7).fill(1)).values).filter(Number.isNaN)).toHaveLength(1);
  });
});

describe("sizeIn", () => {
  it("keeps cells square where they fit", () => {
    expect(sizeIn(640, { rows: 2, columns: 2 })).toEqual([80, 80]);
    expect(sizeIn(640, { rows: 10, columns: 64 })).toEqual([640, 100]);
  });
  it("keeps to the room and the height", () => {
    expect(sizeIn(640, { rows: 128, columns: 784 })).toEqual([640, 256]);
    expect(sizeIn(300, { rows: 1437, columns: 64 })).toEqual([300, 270]);
  });
});

describe("the crosshair", () => {
  const grid = { rows: 3, columns: 20 };
  it("is under the point", () => {
    expect(cellAt(grid, 0.5, 0.5)).toEqual([1, 10]);
    expect(cellAt(grid, 1, -0.1)).toEqual([0, 19]);
  });
  it("moves by the arrows, and stays inside", () => {
    expect(moved([0, 0], "ArrowDown", grid)).toEqual([1, 0]);
    expect(moved([2, 0], "ArrowDown", grid)).toEqual([2, 0]);
    expect(moved([2, 5], "End", grid)).toEqual([2, 19]);
    expect(moved([2, 5], "PageUp", grid)).toEqual([0, 5]);
  });
  it("leaves other keys alone", () => {
    expect(moved([0, 0], "Enter", grid)).toBeNull();
  });
});
