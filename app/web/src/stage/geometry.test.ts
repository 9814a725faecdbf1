import { describe, expect, it } from "vitest";
import { arrange, place, scaleOf, spread, towards, type Box, type Drawing, type Placed } from "./geometry";

function drawing(sizes: number[], more: Partial<Drawing> = {}): Drawing {
  const cards = Math.max(...sizes) <= 4;
  return { sizes, biases: sizes.slice(1).map(() => "per_unit"), cards, back: true, wider: 0, targets: sizes.at(-1)!, ...more };
}

function boxes(placed: Placed): [string, Box][] {
  const all: [string, Box][] = placed.inputs.map((box, i) => [`input ${i}`, box]);
  placed.units.forEach((layer, l) => layer.forEach((box, j) => all.push([`unit ${l} ${j}`, box])));
  placed.weights.forEach((layer, l) => layer.forEach((unit, j) => unit.forEach((box, i) => all.push([`weight ${l} ${j} ${i}`, box]))));
  if (placed.weights[0]!.some((unit) => unit.length)) placed.biases.forEach((layer, l) => layer.forEach((box, j) => all.push([`bias ${l} ${j}`, box])));
  all.push(["loss", placed.loss]);
  if (!placed.downwards) placed.heads.forEach((box, k) => all.push([`head ${k}`, box]));
  return all;
}

function overlaps(placed: Placed): string[] {
  const all = boxes(placed);
  const found = all.filter(([, { x, y, w, h }]) => x < -0.5 || y < -0.5 || x + w > placed.width + 0.5 || y + h > placed.height + 0.5).map(([name]) => `${name} is outside`);
  all.forEach(([one, a], i) => {
    for (const [other, b] of all.slice(i + 1)) {
      if (a.x + a.w > b.x + 0.5 && b.x + b.w > a.x + 0.5 && a.y + a.h > b.y + 0.5 && b.y + b.h > a.y + 0.5) found.push(`${one} and ${other}`);
    }
  });
  return found;
}

const ROOMS = [[952, 500], [700, 520], [480, 480], [390, 620], [344, 480]] as const; // prettier-ignore
const SIZES = [[2, 2, 1], [1, 1], [2, 4, 1], [2, 3, 3], [4, 4, 4, 4], [4, 4], [3, 2, 4, 1], [1, 4, 1], [2, 8, 8, 1], [2, 16, 16, 1], [4, 8, 3], [16, 16, 16, 16, 16, 16, 16, 16, 16]]; // prettier-ignore

describe("nothing overlaps", () => {
  for (const sizes of SIZES) {
    for (const downwards of [false, true]) {
      it(`${sizes.join("-")} ${downwards ? "downwards" : "to the right"}`, () => {
        for (const [width, height] of ROOMS) {
          for (const kind of ["per_unit", "shared", "none"] as const) {
            for (const back of [false, true]) {
              for (const wider of [0, 80]) {
                const asked = drawing(sizes, { biases: sizes.slice(1).map(() => kind), back, wider });
                expect(overlaps(arrange(asked, { width, height }, downwards)), `${width} ${kind} ${back} ${wider}`).toEqual([]);
              }
            }
          }
        }
      });
    }
  }
});

const notebook = drawing([2, 2, 1], { biases: ["shared", "per_unit"] });

describe("place", () => {
  it("goes to the right where there is room, downwards on a phone, where the notebook needs no sideways scroll", () => {
    expect(place(notebook, { width: 952, height: 500 }).downwards).toBe(false);
    const phone = place(notebook, { width: 360, height: 520 });
    expect(phone.downwards).toBe(true);
    expect(phone.width).toBeLessThanOrEqual(360);
    expect(scaleOf(phone, { width: 360, height: 520 }, 0.8)).toBeGreaterThan(0.9);
  });
  it("keeps the notebook's cards readable on a small laptop", () => {
    const room = { width: 808, height: 400 };
    expect(scaleOf(place(notebook, room), room, 0)).toBeGreaterThan(0.8);
  });
  it("draws a line for each weight, one from a shared bias to each unit, and one to the loss", () => {
    const { lines } = arrange(notebook, { width: 952, height: 500 }, false);
    expect(lines.filter(({ kind }) => kind === "weight")).toHaveLength(6);
    expect(lines.filter(({ kind }) => kind === "bias").map(({ layer, unit }) => [layer, unit])).toEqual([[0, 0], [0, 1], [1, 0]]); // prettier-ignore
    expect(lines.filter(({ kind }) => kind === "loss")).toHaveLength(1);
  });
  it("leads each line through the middle of its chip", () => {
    const placed = arrange(notebook, { width: 952, height: 500 }, false);
    const line = placed.lines.find(({ kind, layer, unit, input }) => kind === "weight" && layer === 0 && unit === 1 && input === 0)!;
    const { x, y, w, h } = placed.weights[0]![1]![0]!;
    const round = (value: number) => Math.round(10 * value) / 10;
    expect(line.path).toContain(` ${round(x + w / 2)},${round(y + h / 2)} `);
    expect(line.marks[0].x).toBeLessThan(x);
    expect(line.marks[1].x).toBeGreaterThan(x + w);
  });
});

describe("scaleOf", () => {
  const placed = { width: 1000, height: 500 } as Placed;
  it("shrinks to fit, but stays readable", () => {
    expect(scaleOf(placed, { width: 2000, height: 900 }, 0.8)).toBe(1);
    expect(scaleOf(placed, { width: 900, height: 900 }, 0.8)).toBe(0.9);
    expect(scaleOf(placed, { width: 1000, height: 100 }, 0.8)).toBe(1);
    expect(scaleOf(placed, { width: 300, height: 100 }, 0.8)).toBe(0.8);
  });
});

describe("spread", () => {
  it("leaves alone what has room", () => expect(spread([10, 50, 90], 20, 0, 100)).toEqual([10, 50, 90]));
  it("moves apart what is too near, evenly", () => expect(spread([50, 50], 20, 0, 100)).toEqual([40, 60]));
  it("keeps the order given", () => expect(spread([60, 40], 20, 0, 100)).toEqual([40, 60]));
  it("stays within bounds", () => expect(spread([95, 99], 20, 0, 100)).toEqual([80, 100]));
});

describe("towards", () => {
  const boxes = [{ x: 0, y: 0 }, { x: 100, y: 0 }, { x: 100, y: 90 }, { x: 0, y: 40 }]; // prettier-ignore
  it("goes to the nearest in that direction", () => {
    expect(towards(boxes[0]!, boxes, "ArrowRight")).toBe(1);
    expect(towards(boxes[0]!, boxes, "ArrowDown")).toBe(3);
    expect(towards(boxes[2]!, boxes, "ArrowLeft")).toBe(3);
  });
  it("stays where there is nothing", () => expect(towards(boxes[0]!, boxes, "ArrowLeft")).toBe(-1));
});
