import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Revision, Session, Snapshot } from "../types";
import { ensure, lookAt, lookHere, narrowed, neighbour, pressNext, refreshHistory, refreshSnapshot, show, showSample, standAt } from "./actions";
import { draft, history, looking, rows, sample, sampleCount, selection, session, snapshot, training, trouble, type Training } from "./model";
import { attempt } from "./troubles";

const config = { network: { inputs: 1, layers: [{ name: "output", units: 1 }] }, loss: "mse", optimizer: "sgd", data: { inputs: [[1]], targets: [[1]] } };
const made = { id: "abc", config, revision: 0, latest_revision: 0, run: null } as unknown as Session;
const at = (revision: number, more: Partial<Snapshot> = {}) =>
  ({ session: "abc", revision, phase: "ready", next: { operation: "forward", layer: "output" }, allowed: [], steps: 0, epochs: 0, loss: null, layers: [], nonfinite: [], omitted: [], inputs: null, ...more }) as unknown as Snapshot; // prettier-ignore
const past = (...numbers: number[]) => numbers.map((revision) => ({ revision }) as Revision);

/** What the server answers, by method and a part of the URL; the calls that were made. */
let answers: [string, (call: URL) => unknown][] = [];
let calls: string[] = [];

beforeEach(() => {
  calls = [];
  answers = [];
  const server = (path: string, { method }: RequestInit) => {
    const found = new URL(path, "http://localhost");
    calls.push(`${method} ${found.pathname}${found.search}`);
    const answer = answers.find(([call]) => `${method} ${found.pathname}`.endsWith(call));
    if (!answer) throw new TypeError(`no answer for ${method} ${path}`);
    const said = answer[1](found);
    return said instanceof Promise ? said : Promise.resolve(said instanceof Response ? said : Response.json(said));
  };
  vi.stubGlobal("fetch", vi.fn(server));
  session.value = made;
  draft.value = null;
  rows.value = null;
  snapshot.value = at(0);
  history.value = past(0);
  looking.value = null;
  trouble.value = null;
  selection.value = null;
  training.value = null;
  sample.value = 0;
});
afterEach(() => vi.unstubAllGlobals());

const refusal = (status: number, errors: unknown[] = []) =>
  Response.json({ type: "/v1/problems/invalid-input", title: "", status, detail: "no", instance: "/v1/sessions/abc", errors }, { status });

describe("the session of the network on the screen", () => {
  it("is made once, however many ask for it, and keeps what is selected", async () => {
    answers = [
      ["POST /v1/sessions", () => made], ["/data", () => ({ inputs: [[1]] })], ["/history", () => ({ items: past(0) })],
      ["/curves", () => ({ epoch: [] })], ["/snapshot", () => at(0)],
    ]; // prettier-ignore
    show(config);
    selection.value = "output.bias[0]";
    await Promise.all([ensure(), ensure()]);
    expect(calls.filter((call) => call.startsWith("POST"))).toHaveLength(1);
    expect([session.value?.id, selection.value]).toEqual(["abc", "output.bias[0]"]);
  });
});

describe("one sample of a batch", () => {
  beforeEach(() => {
    const three = [[1], [2], [3]];
    rows.value = { inputs: three, targets: three, test: null, input_names: null, class_names: null };
    sample.value = 2;
  });

  it("is asked for, where there is more than one", () => {
    expect(narrowed().samples).toBe("2:3");
    rows.value = null;
    expect(narrowed().samples).toBeUndefined();
  });

  it("is the first where the last batch had fewer", async () => {
    answers = [
      ["/snapshot", ({ searchParams }) => (searchParams.get("samples") === "2:3" ? refusal(422, [{ parameter: "samples", detail: "" }]) : at(1, { inputs: [[1]] }))],
      ["/tensors/inputs/summary", () => ({ shape: [2, 1] })],
    ]; // prettier-ignore
    await refreshSnapshot();
    expect([sample.value, sampleCount.value, snapshot.value?.revision]).toEqual([0, 2, 1]);
  });

  it("is read again after a change that had none to answer", async () => {
    answers = [
      ["POST /v1/sessions/abc/rewind", () => at(1, { inputs: [] })], ["/snapshot", () => at(1, { inputs: [[1]] })],
      ["/history", () => ({ items: [] })], ["/curves", () => ({ epoch: [] })], ["/summary", () => ({ shape: [2, 1] })],
    ]; // prettier-ignore
    expect(await standAt({ revision: 1 })).toBe(true);
    expect([sample.value, snapshot.value?.inputs]).toEqual([0, [[1]]]);
  });

  it("is the one that was asked for last, read once the step that was pressed before is done", async () => {
    answers = [
      ["/forward", () => at(1, { inputs: [[1]] })], ["/snapshot", () => at(1, { inputs: [[2]] })],
      ["/history", () => ({ items: [] })], ["/curves", () => ({ epoch: [] })], ["/summary", () => ({ shape: [3, 1] })],
    ]; // prettier-ignore
    snapshot.value = at(0, { allowed: ["forward"] });
    pressNext();
    showSample(0);
    showSample(1);
    await attempt("last", async () => undefined);
    const read = calls.filter((call) => /forward|snapshot/.test(call)).map((call) => call.split("/").at(-1));
    expect([read[0], read.at(-1)]).toEqual(["forward?samples=1%3A2", "snapshot?samples=1%3A2"]);
    expect([sample.value, snapshot.value?.inputs]).toEqual([1, [[2]]]);
  });

  it("stays where another cannot be read, and while a training goes on", async () => {
    answers = [["/snapshot", () => refusal(500)]];
    showSample(1);
    await attempt("last", async () => undefined);
    expect(sample.value).toBe(2);
    calls = [];
    training.value = {} as Training;
    showSample(1);
    await attempt("last", async () => undefined);
    expect([sample.value, calls]).toEqual([2, []]);
  });

  it("is refused for another reason as it is", async () => {
    answers = [["/snapshot", () => refusal(422)]];
    await expect(refreshSnapshot()).rejects.toThrow("no");
    expect(sample.value).toBe(2);
  });
});

describe("the numbers on the screen", () => {
  it("are those of the last change, though others that were asked for before come later", async () => {
    let late: (answer: Response) => void = () => undefined;
    answers = [
      ["/snapshot", () => new Promise((resolve) => (late = resolve))], ["POST /v1/sessions/abc/rewind", () => at(2)],
      ["/history", () => ({ items: [] })], ["/curves", () => ({ epoch: [] })],
    ]; // prettier-ignore
    const letGo = lookHere();
    await vi.waitFor(() => expect(calls).toHaveLength(1));
    expect(await standAt({ revision: 2 })).toBe(true);
    late(Response.json(at(3)));
    await letGo;
    expect(snapshot.value?.revision).toBe(2);
  });
});

describe("the history", () => {
  it("is read from what changed on, and what was cut off is gone", async () => {
    history.value = past(0, 1, 2, 3);
    answers = [["/history", () => ({ items: past(4) })]];
    await refreshHistory(1);
    expect(calls).toEqual(["GET /v1/sessions/abc/history?after=1&limit=1000"]);
    expect(history.value.map(({ revision }) => revision)).toEqual([0, 1, 4]);
  });

  it("lacks nothing when an earlier answer comes late, or never", async () => {
    let late = (_: Response) => {};
    answers = [
      ["/history", () => (calls.length === 1 ? new Promise<Response>((resolve) => (late = resolve)) : { items: past(1, 2) })],
    ];
    const first = refreshHistory(0);
    await refreshHistory(1);
    late(Response.json({ items: past(1) }));
    await first;
    expect(history.value.map(({ revision }) => revision)).toEqual([0, 1, 2]);
  });

  it("has a neighbour on either side of what is shown", () => {
    history.value = past(0, 1, 4);
    snapshot.value = at(1);
    expect([neighbour(-1)?.revision, neighbour(1)?.revision]).toEqual([0, 4]);
    snapshot.value = at(4);
    expect(neighbour(1)).toBeUndefined();
  });
});

describe("looking at the past", () => {
  it("has one call under way, and ends with the newest wish", async () => {
    answers = [["/snapshot", ({ searchParams }) => at(Number(searchParams.get("revision")))]];
    const first = lookAt({ revision: 3 });
    for (const revision of [4, 5, 6]) void lookAt({ revision });
    await first;
    expect(calls).toHaveLength(2);
    expect([snapshot.value?.revision, looking.value?.revision]).toEqual([6, 6]);
  });

  it("is over when it is let go, though an answer is on its way", async () => {
    let late = (_: Response) => {};
    answers = [["/snapshot", ({ searchParams }) => (searchParams.has("revision") ? new Promise<Response>((resolve) => (late = resolve)) : at(0))]];
    const look = lookAt({ revision: 3 });
    await lookHere();
    late(Response.json(at(3)));
    await look;
    expect([snapshot.value?.revision, looking.value]).toEqual([0, null]);
  });

  it("changes nothing where it is stood already", async () => {
    answers = [["/snapshot", () => at(0)]];
    await standAt({ revision: 0 });
    expect(calls.filter((call) => call.startsWith("POST"))).toEqual([]);
  });
});
