import { expect, test } from "vitest";
import type { Curves, Entry } from "../types";
import { entryNumbers, liveOf } from "./live";
import { shapeOf } from "./shape";
import { stopWords } from "./stops";
import { longer } from "./training";

const entry = (epoch: number, more: Partial<Entry> = {}): Entry => ({
  epoch, steps: epoch, loss: 1 / epoch, gradient_norm: 1, learning_rate: 0.1, ...more,
}); // prettier-ignore

test("curves grow by entries; what an entry does not have is no column", () => {
  const curves = longer(longer(null, [entry(1)]), [entry(2), entry(3)]);
  expect(curves.epoch).toEqual([1, 2, 3]);
  expect(curves.loss).toEqual([1, 0.5, 1 / 3]);
  expect(curves.test_loss).toBeUndefined();
});

test("a column that comes later begins with gaps, one that ends goes on with them", () => {
  const curves = longer(longer(longer(null, [entry(1)]), [entry(2, { accuracy: 0.5 })]), [entry(3)]);
  expect(curves.accuracy).toEqual([null, 0.5, null]);
});

test("entries replace what came after where they begin", () => {
  const before = longer(null, [entry(1), entry(2, { loss: 7 }), entry(3, { loss: 8 })]);
  const curves = longer(before, [entry(2)]);
  expect(curves.epoch).toEqual([1, 2]);
  expect(curves.loss).toEqual([1, 0.5]);
  expect(before.epoch).toEqual([1, 2, 3]);
});

test("empty curves, as a new session has them, count as none", () => {
  expect(longer({ epoch: [], steps: [], loss: [] } as Curves, [entry(1)]).loss).toEqual([1]);
});

test("a training reports as often as can be watched, and as a server keeps", () => {
  expect(liveOf({ epochs: 100 }, 10)).toEqual({ reportEvery: 1, pictured: true });
  expect(liveOf({ epochs: 24_000 }, 10).reportEvery).toBe(100);
  expect(liveOf({ epochs: 24_000, stop: [{ type: "plateau" }] }, 10).reportEvery).toBe(25);
  expect(liveOf({ epochs: 240 }, 34_816)).toEqual({ reportEvery: 2, pictured: true });
});

test("a person's own choice of reports is kept; too many of them go without pictures", () => {
  expect(liveOf({ epochs: 1000, report_every: 1 }, 10)).toEqual({ reportEvery: 1, pictured: true });
  expect(liveOf({ epochs: 1000, report_every: 1 }, 34_816)).toEqual({ reportEvery: 1, pictured: false });
});

test("no training of a net that the graph can show asks for more than the server's 64 MiB at 11 bytes a number", () => {
  for (const sizes of [[2, 2, 1], [2, 8, 8, 1], [2, 16, 16, 16, 16, 16, 16, 16, 1]]) {
    const layers = sizes.slice(1).map((units) => ({ units }));
    const numbers = entryNumbers(shapeOf({ network: { inputs: 2, layers }, loss: "mse", optimizer: "sgd" }), 1024, true, true);
    const { reportEvery, pictured } = liveOf({ epochs: 5000 }, numbers);
    expect(pictured).toBe(true);
    expect(Math.ceil(5000 / reportEvery) * numbers * 11).toBeLessThan(2 ** 26);
  }
});

test("stop conditions in words", () => {
  const conditions = [{ type: "loss_below", value: 0.02 }, { type: "plateau", patience: 10 }];
  expect(stopWords(conditions)).toBe("loss < 0.02, or plateau");
  expect(stopWords([{ type: "dead_units_above", value: 0.5 }])).toBe("dead units > 50.0%");
  expect(stopWords([{ type: "parameter_outside", parameter: "hidden.bias", low: -1, high: 2 }])).toBe("hidden.bias outside −1 … 2");
  expect(stopWords([{ type: "expression", value: "loss > 2" }])).toBe("loss > 2");
  expect(stopWords([])).toBe("");
});
