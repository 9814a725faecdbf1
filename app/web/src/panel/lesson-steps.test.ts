import { expect, test } from "vitest";
import { stationsOf } from "../state/next";
import { shapeOf } from "../state/shape";
import { stepsOf } from "./lesson-steps";

const network = (...units: number[]) =>
  shapeOf({ network: { inputs: 2, layers: units.map((of, i) => ({ name: `l${i + 1}`, units: of, activation: "relu" })) }, loss: "mse", optimizer: "sgd" });
const lesson = (shape: ReturnType<typeof network>, operation: "forward" | "backward", layer: string) =>
  stepsOf(stationsOf(shape, { operation, layer }, false), shape);

test("two layers take five presses", () => {
  const steps = lesson(network(2, 1), "backward", "l2");
  expect(steps.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    "Forward through l1: done",
    "Forward through l2: done",
    "Backward through l2: next",
    "Backward through l1: todo",
    "Update: todo",
  ]);
  expect(steps[0]!.text).toBe("Inputs times weights, plus the bias, then the ReLU.");
});

test("the middle of a deep network is one step, which is next while any of it is", () => {
  const steps = lesson(network(9, 9, 9, 9, 1), "forward", "l3");
  expect(steps).toHaveLength(7);
  expect(steps[1]).toMatchObject({ title: "Forward through 3 layers more", status: "next" });
  expect(steps[4]).toMatchObject({ title: "Backward through 3 layers more", status: "todo" });
});
