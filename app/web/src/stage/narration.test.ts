import { describe, expect, it } from "vitest";
import { firstSnapshot, shapeOf } from "../state/shape";
import { count } from "../numbers";
import type { Config, Revision, Snapshot, Stopped } from "../types";
import { ended, many, narrate, progress, spoken, type Told } from "./narration";

const NOTEBOOK: Config = {
  network: {
    inputs: 2,
    layers: [
      { name: "hidden", units: 2, activation: "sigmoid", bias: "shared", init: { weight: [[0.15, 0.2], [0.25, 0.3]], bias: 0.35 } },
      { name: "output", units: 1, activation: "sigmoid", init: { weight: [[0.4, 0.45]], bias: [0.6] } },
    ],
  },
  loss: "half_squared_error",
  optimizer: { type: "sgd", learning_rate: 0.5 },
  data: { inputs: [[0.05, 0.1]], targets: [[0.01]] },
}; // prettier-ignore

const start = firstSnapshot(NOTEBOOK);
const next = (operation: "forward" | "backward" | "step", layer: string | null) => ({ operation, layer });
const [hidden, output] = [start.layers[0]!, start.layers[1]!];
const ranHidden = { ...hidden, z: [[0.3775, 0.3925]], a: [[0.59327, 0.59688]] };
const ranOutput = { ...output, z: [[1.10591]], a: [[0.75137]] };

function told(snapshot: Partial<Snapshot>, more: Partial<Told> = {}): Told {
  const full = { ...start, ...snapshot } as Snapshot;
  const verbs = { forward: "Forward", backward: "Backward", step: "Update" };
  const { operation, layer } = full.next;
  return {
    shape: shapeOf(NOTEBOOK), snapshot: full, next: { verb: verbs[operation as "step"], rest: layer ? `through ${layer}` : "8 parameters" },
    history: [], latest: full.revision, looking: null, training: null, stopped: null, expired: false, checking: false, sample: 0, samples: 1, ...more,
  }; // prettier-ignore
}
const say = (snapshot: Partial<Snapshot>, more: Partial<Told> = {}) => spoken(narrate(told(snapshot, more)));

const forward = { phase: "forward", revision: 2, loss: 0.27481, layers: [ranHidden, ranOutput], next: next("backward", "output") } as Partial<Snapshot>;
const backOutput = { ...forward, phase: "backward", revision: 3, layers: [ranHidden, { ...ranOutput, dL_dz: [[0.1385]] }], next: next("backward", "hidden") } as Partial<Snapshot>;
const backHidden = { ...backOutput, revision: 4, next: { operation: "step", layer: null, parameters: [] } } as unknown as Partial<Snapshot>;
const updated = { ...backHidden, phase: "ready", revision: 5, steps: 1, epochs: 1, next: next("forward", "hidden") } as unknown as Partial<Snapshot>;

describe("one step of the notebook", () => {
  it("begins with the network in words", () => {
    expect(say({})).toBe("Two inputs, two hidden units, one output. Nothing is computed yet. Press Forward (or N) to run the first layer.");
  });
  it("says each layer's numbers, and what comes next", () => {
    expect(say({ phase: "forward", revision: 1, layers: [ranHidden, output], next: next("forward", "output") } as Partial<Snapshot>)).toBe(
      "Forward through hidden: activations 0.59327 and 0.59688. Next, Forward through output.",
    );
    expect(say(forward)).toBe(
      "Forward through output: prediction 0.75137, target 0.01000, loss 0.27481. Next, Backward through output.",
    );
    expect(say(backOutput)).toBe("Backward through output: ∂L/∂z 0.13850, and from it three gradients. Next, Backward through hidden.");
    expect(say(backHidden)).toBe(
      "Backward through hidden: the error 0.13850 came back along output weight 1, 1 and output weight 1, 2. Every gradient is known. Next, Update 8 parameters.",
    );
    expect(say(updated)).toBe("Eight parameters took a step; the loss was 0.27481. z, a and gradients on the screen are from before it. Next, Forward through hidden.");
  });
  it("marks the words of the Next button", () => {
    expect(narrate(told(forward))).toContainEqual({ then: "Backward through output" });
  });
  it("counts samples where there are several", () => {
    expect(say(forward, { samples: 64 })).toBe(
      "Forward through output: one activation for each of 64 samples, the mean loss is 0.27481. Next, Backward through output.",
    );
    expect(say(backOutput, { samples: 4 })).toBe("Backward through output: three gradients, over four samples. Next, Backward through hidden.");
  });
});

describe("elsewhere", () => {
  const revision = (more: Partial<Revision>) => ({ revision: 5, operation: "step", label: "step", arguments: {}, epochs: 1, ...more }) as Revision;
  it("in the past, says that later ones are still there", () => {
    expect(say(forward, { latest: 5 })).toBe("Standing at revision 2 of 5. The next step replaces what came after; Fork keeps both.");
    const history = [revision({ revision: 1, operation: "train", epochs: 200 }), revision({ revision: 5, operation: "rewind", epochs: 35 })];
    expect(say({ ...updated, epochs: 35 }, { history })).toBe("Standing at epoch 35 of 200. What came after stays; the next step goes on from here.");
  });
  it("looking by a link or while dragging", () => {
    expect(say(forward, { looking: { revision: 2, by: "link" }, latest: 5, next: { verb: "Continue", rest: "" } })).toBe(
      "This is a look at revision 2 of 5; nothing is changed. Continue goes on from here.",
    );
    expect(say(forward, { looking: { epoch: 35, by: "drag" } })).toBe("Looking at epoch 35. Let go, or press Enter, to stand there.");
  });
  it("in a fork, says of what", () => {
    expect(say({ ...updated, revision: 0 }, { history: [revision({ revision: 0, operation: "fork", label: "fork from the end of epoch 35" })] })).toBe(
      "A fork from the end of epoch 35. Next, Forward through hidden.",
    );
  });
  it("after an edit, says which", () => {
    expect(say(updated, { history: [revision({ operation: "edit", label: "edit hidden.weight[0][1]" })] })).toBe(
      "Done: edit hidden.weight[0][1]. Next, Forward through hidden.",
    );
  });
  it("expired, and while working is checked", () => {
    expect(say(forward, { expired: true })).toContain("Start again opens a new one with its parameters.");
    expect(say(forward, { checking: true })).toMatch(/^Forward through .* Work out the next step yourself/);
  });
});

describe("training", () => {
  const training = { run: "r", epochsTotal: 1000, from: 0, epoch: 412, firstLoss: 0.67453, loss: 0.10702, testLoss: 0.35592, stop: "", pausing: false };
  it("says how far the loss went", () => {
    expect(say({}, { training })).toBe("Training. In 412 epochs the loss went from 0.67453 to 0.10702; the test loss is 0.35592.");
    expect(say({}, { training: { ...training, firstLoss: null, loss: null } })).toBe(`Training eight parameters for ${count(1000)} epochs.`);
  });
  it("is read out at its start and each tenth", () => {
    expect(progress({ ...training, epoch: 0, loss: null })).toBe(`Training for ${count(1000)} epochs.`);
    expect(progress(training)).toBe(progress({ ...training, epoch: 450 }));
    expect(progress({ ...training, epoch: 500 })).toBe("50% of the training is done.");
  });
  it("says why it stopped", () => {
    const stopped: Stopped = { reason: "loss_below", epoch: 240, step: 240, tensor: null, threshold: 0.02, actual: 0.0199 };
    expect(ended(stopped)).toBe("Stopped at epoch 240: loss below 0.02.");
    expect(say(updated, { stopped: { ...stopped, reason: "epochs" } })).toBe("Trained to epoch 240: the loss is 0.27481. Next, Forward through hidden.");
    expect(ended({ ...stopped, reason: "nonfinite", tensor: "hidden.weight", threshold: null })).toBe(
      "Stopped at epoch 240: hidden.weight is not a finite number; this is the last good state.",
    );
  });
});

it("writes small counts as words", () => {
  expect([many(1, "unit"), many(12, "unit"), many(101770, "parameter")]).toEqual(["one unit", "twelve units", `${count(101770)} parameters`]);
});
