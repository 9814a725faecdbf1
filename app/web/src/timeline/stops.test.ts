import { describe, expect, it } from "vitest";
import type { Revision } from "../types";
import { markAt, marksOf, placeAt, stopOf, stopsOf } from "./stops";

const revision = (number: number, operation: string, more: Partial<Revision> = {}): Revision => ({
  revision: number, operation, label: operation, arguments: {}, phase: "ready", steps: 0, epochs: 0, loss: null, state_hash: "", at: "", kept: true, ...more,
}); // prettier-ignore

const training = (number: number, from: number, to: number) => revision(number, "train", { epoch_from: from, epoch_to: to, epochs: to });
const visit = (number: number, epoch: number) => revision(number, "rewind", { arguments: { epoch }, epochs: epoch, label: `back to the end of epoch ${epoch}` });
const layers = ["hidden", "output"];

const history = [revision(0, "create"), revision(1, "forward", { arguments: { until: "hidden" } }), revision(2, "backward"), training(3, 1, 10), revision(4, "edit")];
const marks = marksOf(history, layers);

describe("marks", () => {
  it("say what was done to which layer", () => {
    expect(marks.map(({ kind, label }) => `${kind} ${label}`)).toEqual(["start start", "forward hidden", "backward hidden", "block epochs 1–10", "edit edit"]);
  });

  it("have a stop each, a training one for each epoch", () => {
    expect(marks.map(({ stop }) => stop)).toEqual([0, 1, 2, 3, 13]);
    expect(stopsOf(marks)).toBe(14);
    expect(markAt(marks, 7)?.revision).toBe(3);
  });
});

describe("a stop", () => {
  it("is a place, and the place is the stop", () => {
    for (let stop = 0; stop < 14; stop++) expect(stopOf(marks, history, placeAt(marks, stop))).toBe(stop);
  });

  it("inside a training is an epoch on the way to it", () => {
    expect(placeAt(marks, 3)).toEqual({ revision: 3, epoch: 1 });
    expect(placeAt(marks, 12)).toEqual({ revision: 3 });
  });
});

describe("standing at an epoch", () => {
  const there = [...history, visit(5, 7), visit(6, 4)];

  it("is shown in the training's block until something follows", () => {
    const now = marksOf(there, layers);
    expect(now).toHaveLength(5);
    expect(stopOf(now, there, { revision: 6 })).toBe(3 + 3);
    expect(stopOf(now, there, { revision: 5 })).toBe(3 + 6);
  });

  it("is a mark of its own from then on", () => {
    const on = [...there, revision(7, "forward")];
    const now = marksOf(on, layers);
    expect(now.map(({ label }) => label)).toEqual(["start", "hidden", "hidden", "epochs 1–10", "edit", "epoch 4", "output"]);
    expect(stopOf(now, on, { revision: 7 })).toBe(15);
  });

  it("of a later training is not taken for one of an earlier", () => {
    const on = [...there, training(7, 5, 12)];
    const now = marksOf(on, layers);
    expect(stopOf(now, on, { revision: 7, epoch: 6 })).toBe(now.at(-1)!.stop + 1);
    expect(stopOf(now, on, { revision: 3, epoch: 6 })).toBe(8);
  });
});

describe("a history that begins later, or not at all", () => {
  it("shows a revision that is not listed yet at the last one", () => {
    expect(stopOf(marks, history, { revision: 5 })).toBe(13);
    expect(stopOf([], [], { revision: 0 })).toBe(0);
    expect(placeAt([], 0)).toEqual({});
  });
});
