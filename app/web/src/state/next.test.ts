import { beforeEach, describe, expect, it } from "vitest";
import type { Next, Revision, Snapshot } from "../types";
import { looking, snapshot, trouble } from "./model";
import { entriesOf, labelOf, missing, nextLabel, revisionOf, startOf, stationsOf } from "./next";
import { firstSnapshot, shapeOf } from "./shape";

const config = {
  network: {
    inputs: 2,
    layers: [
      { name: "hidden", units: 2, bias: "shared" as const },
      { name: "output", units: 1 },
    ],
  },
  loss: "mse",
  optimizer: "sgd",
};
const network = shapeOf(config);

const past = (...operations: [string, string | undefined, Revision["phase"]][]): Revision[] =>
  operations.map(([operation, until, phase], revision) => ({
    revision, operation, label: operation, arguments: until ? { until } : {}, phase, steps: 0, epochs: 0, loss: null, state_hash: "", at: "", kept: true,
  })); // prettier-ignore

describe("what Next says", () => {
  it("names the layer of a pass", () => {
    expect(labelOf({ operation: "backward", layer: "hidden" }, network)).toEqual({ verb: "Backward", rest: "through hidden" });
  });

  it("counts what an update changes: a shared bias is one number", () => {
    const all = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"];
    expect(entriesOf(all, network)).toBe(4 + 1 + 2 + 1);
    expect(labelOf({ operation: "step", parameters: ["hidden.bias"] }, network).rest).toBe("1 parameter");
  });
});

describe("the stations of a step", () => {
  const statuses = (step: Next, started = false) => stationsOf(network, step, started).map(({ status }) => status);

  it("go forward, come back, and end with the update", () => {
    const labels = stationsOf(network, { operation: "forward", layer: "hidden" }, false).map(({ label }) => label);
    expect(labels).toEqual(["hidden", "output, loss", "output", "hidden", "parameters"]);
  });

  it("are done up to the last, which comes before the next", () => {
    expect(statuses({ operation: "backward", layer: "hidden" })).toEqual(["done", "done", "last", "next", "todo"]);
    expect(statuses({ operation: "step" })).toEqual(["done", "done", "done", "last", "next"]);
  });

  it("begin anew after an update, which was the last", () => {
    expect(statuses({ operation: "forward", layer: "hidden" })).toEqual(["next", "todo", "todo", "todo", "todo"]);
    expect(statuses({ operation: "forward", layer: "hidden" }, true)).toEqual(["next", "todo", "todo", "todo", "last"]);
  });
});

describe("where a station was passed", () => {
  const steps = past(
    ["create", undefined, "ready"],
    ["forward", "hidden", "forward"],
    ["forward", "output", "forward"],
    ["backward", undefined, "backward"],
    ["step", undefined, "ready"],
    ["forward", undefined, "forward"],
  );

  it("is the revision of the call that went up to it", () => {
    expect(revisionOf({ operation: "forward", layer: "hidden" }, steps.slice(0, 4), network)).toBe(1);
    expect(revisionOf({ operation: "backward", layer: "hidden" }, steps.slice(0, 4), network)).toBe(3);
  });

  it("is not one of a step before", () => {
    expect(revisionOf({ operation: "forward", layer: "hidden" }, steps, network)).toBeUndefined();
    expect(revisionOf({ operation: "forward", layer: "output" }, steps, network)).toBe(5);
    expect(startOf(steps)).toBe(4);
  });

  it("is unknown where a longer call ran through it", () => {
    expect(revisionOf({ operation: "backward", layer: "output" }, steps.slice(0, 4), network)).toBeUndefined();
  });
});

describe("what is missing", () => {
  beforeEach(() => {
    snapshot.value = firstSnapshot(config);
    looking.value = null;
    trouble.value = null;
  });

  it("is said by what the API allows", () => {
    expect(missing("forward")).toBeNull();
    expect(missing("step")).toContain("Run Backward first");
    snapshot.value = { ...(snapshot.value as Snapshot), allowed: ["step"] };
    expect(missing("step")).toBeNull();
  });

  it("is a continuation where the past is only looked at", () => {
    looking.value = { revision: 0, by: "link" };
    expect(missing("forward")).toContain("Continue from here first");
    expect(nextLabel.value).toEqual({ verb: "Continue", rest: "from revision 0" });
  });

  it("is a new session where this one is gone", () => {
    trouble.value = { kind: "gone", title: "", detail: "", at: null };
    expect(missing("train")).toContain("Start again");
    expect(nextLabel.value.verb).toBe("Start again");
  });
});
