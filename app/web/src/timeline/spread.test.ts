import { describe, expect, it } from "vitest";
import { count } from "../numbers";
import { axis, fitting, spread, stopAt, xOf } from "./spread";
import type { Mark } from "./stops";

function marks(...stops: number[]): Mark[] {
  let stop = 0;
  return stops.map((many, revision) => {
    const mark: Mark = {
      revision, kind: many > 1 ? "block" : "forward", label: "hidden", says: "", stop, stops: many, from: 1, to: many,
    }; // prettier-ignore
    stop += many;
    return mark;
  });
}

const ones = (many: number) => marks(...Array<number>(many).fill(1));

describe("spreading", () => {
  it("gives a few marks the usual distance", () => {
    const { marks: shown } = spread(ones(3), 900, 0);
    expect(shown.map(({ x }) => x - shown[0]!.x)).toEqual([0, 92, 184]);
  });

  it("keeps all within the width, none upon another", () => {
    for (const row of [ones(60), marks(1, 100, 1, 1, 20, 1), marks(1, 1_000_000), marks(1, 2, 1)]) {
      const { marks: shown, before, after } = spread(row, 1000, 0);
      expect([shown.length, before, after]).toEqual([row.length, 0, 0]);
      shown.forEach(({ x, width }, i) => {
        expect(x + width).toBeLessThanOrEqual(1000);
        if (i) expect(x).toBeGreaterThan(shown[i - 1]!.x + shown[i - 1]!.width);
      });
    }
  });

  it("makes a longer training wider", () => {
    const { marks: shown } = spread(marks(1, 20, 60, 1), 1000, 0);
    expect(shown[2]!.width).toBeGreaterThan(shown[1]!.width);
  });

  it("folds what does not fit, round the focus", () => {
    const row = ones(500);
    for (const focus of [0, 250, 499]) {
      const { marks: shown, before, after } = spread(row, 800, focus);
      expect(before + shown.length + after).toBe(500);
      expect(shown.some(({ stop }) => stop === focus)).toBe(true);
      expect(shown.at(-1)!.x).toBeLessThanOrEqual(800);
      expect(shown.length).toBeGreaterThan(30);
    }
  });
});

describe("a place on the strip", () => {
  it("is the stop that is shown there", () => {
    const { marks: shown } = spread(marks(1, 1, 40, 1), 900, 0);
    for (let stop = 0; stop < 43; stop++) expect(stopAt(shown, xOf(shown, stop))).toBe(stop);
  });

  it("beyond the ends is the first or the last", () => {
    const { marks: shown } = spread(marks(1, 40), 900, 0);
    expect([stopAt(shown, -50), stopAt(shown, 5000)]).toEqual([0, 40]);
  });

  it("of a training's last epoch is its right edge", () => {
    const block = spread(marks(1, 40), 900, 0).marks[1]!;
    expect(xOf([block], 40)).toBe(block.x + block.width);
  });
});

describe("labels", () => {
  it("do not overlap: the first ones win", () => {
    const shown = fitting([{ x: 100, text: "hidden" }, { x: 110, text: "output" }, { x: 200, text: "output" }], 400);
    expect(shown.map(({ x }) => x)).toEqual([100, 200]);
  });

  it("stay within the strip", () => {
    expect(fitting([{ x: 0, text: "start" }], 400)[0]!.x).toBe(15);
  });

  it("of a training under way are its epochs", () => {
    const texts = axis(spread(marks(1, 1000), 1000, 0).marks[1]!).map(({ text }) => text);
    expect(texts).toContain(count(1000));
    expect(texts.length).toBeLessThan(8);
  });
});
