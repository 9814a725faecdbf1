import { expect, test } from "vitest";
import { classOf, leads, lines, linked, meaningOf, nearest, sharesOf, winners } from "./answers";

const rows = (targets: unknown, class_names: string[] | null = null) => ({ targets, class_names }) as Parameters<typeof meaningOf>[0];

test("two different targets are two classes, whatever their numbers", () => {
  expect(meaningOf(rows([[0], [1], [1]]), 1)).toEqual({ kind: "binary", low: 0, high: 1, names: ["class 0", "class 1"] });
  expect(meaningOf(rows([[0.99], [0.01]]), 1)).toMatchObject({ low: 0.01, high: 0.99, names: ["target 0.01", "target 0.99"] });
  expect(meaningOf(rows([[-1], [1]], ["upper", "lower"]), 1)).toMatchObject({ low: -1, names: ["upper", "lower"] });
});

test("indices and one-hot rows are several classes", () => {
  expect(meaningOf(rows([0, 2, 1]), 3)).toEqual({ kind: "classes", names: ["class 0", "class 1", "class 2"] });
  expect(meaningOf(rows([[0, 1], [1, 0]], ["no", "yes"]), 2)).toEqual({ kind: "classes", names: ["no", "yes"] });
});

test("other targets are values; those of both signs lie evenly round 0", () => {
  expect(meaningOf(rows([[0.2], [0.5], [0.9]]), 1)).toEqual({ kind: "value", low: 0.2, high: 0.9 });
  expect(meaningOf(rows([[-1], [0.5], [3]]), 1)).toEqual({ kind: "value", low: -3, high: 3 });
  expect(meaningOf(rows([[2]]), 1)).toEqual({ kind: "value", low: 1, high: 3 });
  expect(meaningOf(rows(null), 1)).toEqual({ kind: "value", low: -1, high: 1 });
  expect(meaningOf(rows([[0.3, 0.7], [1, 1]]), 2).kind).toBe("value");
});

test("the class of a row", () => {
  const two = meaningOf(rows([[-1], [1]]), 1);
  expect([classOf([-1], two), classOf([1], two), classOf(null, two)]).toEqual([0, 1, null]);
  const three = meaningOf(rows([[0, 0, 1], [1, 0, 0]]), 3);
  expect([classOf([0, 0, 1], three), classOf(1, three)]).toEqual([2, 1]);
});

test("logits and logarithms become probabilities; large ones do not overflow", () => {
  expect(linked([0], "bce_with_logits")).toEqual([0.5]);
  expect(linked([0.3], "mse")).toEqual([0.3]);
  expect(linked([1000, 1000], "cross_entropy")).toEqual([0.5, 0.5]);
  expect(linked([Math.log(0.25), Math.log(0.75)], "nll")[1]).toBeCloseTo(0.75);
  expect(sharesOf([[-1], [0], [1]], "mse", { low: -1, high: 1 })).toEqual([0, 0.5, 1]);
});

test("the class that wins, and how sure that is", () => {
  expect(winners([[0.2, 0.8], [0.5, 0.5]], "mse")).toEqual([
    { winner: 1, sure: expect.closeTo(0.6) },
    { winner: 0, sure: 0 },
  ]);
  expect(winners([[null, null]], "mse")[0]!.winner).toBe(-1);
  expect(leads([[1, 3, 2]], 3)).toEqual([[-2], [1], [-1]]);
});

test("the boundary is a line across the grid, on beyond its edges, and not along them", () => {
  const side = 4;
  const slope = Array.from({ length: side * side }, (_, i) => (i % side) / (side - 1));
  const [line, ...more] = lines(slope, side, 0.5);
  expect(more).toEqual([]);
  expect(line!.every(([x]) => Math.abs(x - 2) < 1e-9)).toBe(true);
  const heights = line!.map(([, y]) => y);
  expect(Math.min(...heights)).toBeLessThanOrEqual(0);
  expect(Math.max(...heights)).toBeGreaterThanOrEqual(side);
  expect(lines(slope, side, 5)).toEqual([]);
});

test("the row that is meant by a click is the nearest within reach", () => {
  expect(nearest([[0, 0], [10, 0], [11, 0]], [10.4, 1], 14)).toBe(1);
  expect(nearest([[0, 0]], [10, 10], 14)).toBe(-1);
});
