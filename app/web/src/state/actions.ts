/** What the page does: each action is a call of the API, or a few, and what it answers is put into the model. */

import { batch } from "@preact/signals";
import { call, Refused, url } from "../client";
import type { Catalog, Config, Curves, Next, Preset, Revision, Rows, Session, Snapshot, Summary } from "../types";
import {
  catalog, comparedWith, curves, draft, expired, fitsGraph, history, justDone, lastCall, looking, next, rowCount, rows, sample, sampleCount,
  selection, session, shape, snapshot, stopped, trail, training, trouble, view, type Looking,
} from "./model"; // prettier-ignore
import { missing, revisionOf, startOf, type Station } from "./next";
import { ownSessions } from "./settings";
import { firstSnapshot, fits, shapeOf } from "./shape";
import { attempt, report } from "./troubles";
import { follow, pause } from "./training";

const KEPT_SESSIONS = 20;
const MOST_REVISIONS = 1000;

/** The path of the session, or of something in it. Throws where there is none yet: `ensure` makes it. */
export function path(rest = ""): string {
  if (!session.value) throw new Error("there is no session yet");
  return `/v1/sessions/${session.value.id}${rest}`;
}

/** What is asked of snapshots: one sample, and parameters only where they can be drawn as numbers. */
export function narrowed(): Record<string, string | number | undefined> {
  const samples = rowCount.value <= 1 ? undefined : `${sample.value}:${sample.value + 1}`;
  return { samples, include: fitsGraph.value ? undefined : "activations,health" };
}

/** Ask for a snapshot of one sample; of the first, where there is no such sample in the batch of then. */
async function ofSample(ask: () => Promise<Snapshot>, again = ask): Promise<Snapshot> {
  try {
    const found = await ask();
    if (sample.value === 0 || found.inputs?.length !== 0) return found;
  } catch (error) {
    const noSuch = error instanceof Refused && error.problem.errors?.some(({ parameter }) => parameter === "samples");
    if (!noSuch || sample.value === 0) throw error;
  }
  sample.value = 0;
  return again();
}

/** How many samples the pass on the screen went over: the session's rows, or those of a training's last batch. */
async function countSamples(after: Snapshot): Promise<void> {
  if (rowCount.value <= 1 || !after.inputs) {
    sampleCount.value = rowCount.value;
    return;
  }
  const { shape } = await call<Summary>("GET", url(path("/tensors/inputs/summary"), when()));
  if (snapshot.value === after) sampleCount.value = shape[0]!;
}

/** A revision, or an epoch on the way to it. */
export type Place = { revision?: number | undefined; epoch?: number | undefined };

/** Where reads look: the place in the past that is looked at, if any. */
export function when(): Place {
  return looking.value ? { revision: looking.value.revision, epoch: looking.value.epoch } : {};
}

/** Put a network on the screen that is not made yet: the first press makes it. */
export function show(config: Config): void {
  batch(() => {
    forget();
    draft.value = config;
    snapshot.value = firstSnapshot(config);
  });
}

function forget(): void {
  session.value = null;
  snapshot.value = null;
  history.value = [];
  curves.value = null;
  rows.value = null;
  looking.value = null;
  training.value = null;
  stopped.value = null;
  trouble.value = null;
  justDone.value = null;
  selection.value = null;
  trail.value = [];
  comparedWith.value = null;
  view.value = null;
  sample.value = 0;
  sampleCount.value = 1;
}

export async function loadCatalog(): Promise<Catalog> {
  catalog.value ??= await call<Catalog>("GET", "/v1/catalog");
  return catalog.value;
}

export function preset(name: string): Preset | undefined {
  return catalog.value?.presets.find((one) => one.name === name) as Preset | undefined;
}

/** Make a session, and stand at its start. Throws as `call` does. */
export async function create(config: Config, wasDraft = false): Promise<void> {
  const made = await call<Session>("POST", "/v1/sessions", { body: config });
  lastCall.value = { method: "POST", path: "/v1/sessions", body: config };
  ownSessions.value = [made.id, ...ownSessions.value].slice(0, KEPT_SESSIONS);
  await enter(made, { wasDraft });
}

let making: Promise<void> | null = null;
/** Make the session of the network on the screen where it is not made yet. */
export async function ensure(): Promise<void> {
  if (session.value || !draft.value) return;
  making ??= create(draft.value, true).finally(() => (making = null));
  await making;
}

/** Open a session by its id, perhaps at an older revision, which is only looked at. Throws as `call` does. */
export async function openSession(id: string, at?: number): Promise<void> {
  const found = await call<Session>("GET", `/v1/sessions/${id}`);
  await enter(found, { look: at !== undefined && at !== found.revision ? { revision: at, by: "link" } : null });
}

let entered = 0;
/** Show a session. It is read before anything of it is shown, so that what was there stays until then. */
async function enter(found: Session, { look = null, wasDraft = false }: { look?: Looking | null; wasDraft?: boolean } = {}): Promise<void> {
  const mine = ++entered;
  const here = `/v1/sessions/${found.id}`;
  const place = look ? { revision: look.revision } : {};
  const same = wasDraft || session.value?.id === found.id;
  const [its, past, course] = await Promise.all([
    found.config.data ? call<Rows>("GET", url(`${here}/data`, place)) : null,
    call<{ items: Revision[] }>("GET", url(`${here}/history`, { after: firstShown(found), limit: MOST_REVISIONS })),
    call<Curves>("GET", url(`${here}/curves`, place)),
  ]);
  const many = its?.inputs?.length ?? 1;
  const include = fits(shapeOf(found.config)) ? undefined : "activations,health";
  const read = (index: number) =>
    call<Snapshot>("GET", url(`${here}/snapshot`, { include, samples: many > 1 ? `${index}:${index + 1}` : undefined, ...place }));
  let at = same ? sample.value : 0;
  const numbers = await read(at).catch((error: unknown) => {
    if (!(error instanceof Refused) || at === 0) throw error;
    return read((at = 0));
  });
  if (mine !== entered) return;
  batch(() => {
    if (!same) forget();
    session.value = found;
    draft.value = null;
    looking.value = look;
    rows.value = its;
    history.value = past.items;
    curves.value = course;
    snapshot.value = numbers;
    sample.value = at;
    justDone.value = null;
  });
  background(countSamples(numbers));
  if (found.run && training.value?.run !== found.run.id) void follow(found.run);
}

const firstShown = ({ latest_revision: latest }: Session): number => Math.max(-1, latest - MOST_REVISIONS);

/** Read everything of the session again. */
export async function refresh(): Promise<void> {
  if (session.value) await enter(await call<Session>("GET", path()));
}

let historyAsked = 0;
/** Read the revisions after one, and what is missing before them. */
export async function refreshHistory(after: number): Promise<void> {
  const mine = ++historyAsked;
  const first = Math.min(Math.max(after, firstShown(session.value!)), history.value.at(-1)?.revision ?? -1);
  const { items } = await call<{ items: Revision[] }>("GET", url(path("/history"), { after: first, limit: MOST_REVISIONS }));
  if (mine === historyAsked) history.value = [...history.value.filter(({ revision }) => revision <= first), ...items];
}

export async function refreshCurves(): Promise<void> {
  curves.value = await call<Curves>("GET", path("/curves"));
}

/** Counts what is put on the screen, so that numbers which were asked for before do not come after it. */
let shown = 0;

/** Read the numbers on the screen again, as of where the page looks. */
export async function refreshSnapshot(): Promise<void> {
  if (!session.value) return;
  const mine = ++shown;
  const read = await ofSample(() => call<Snapshot>("GET", url(path("/snapshot"), { ...narrowed(), ...when() })));
  if (mine !== shown) return;
  snapshot.value = read;
  await countSamples(read);
}

/** A call that changes the session and answers the snapshot after it. Refused where the session has moved on elsewhere. */
export async function change(method: string, rest: string, body: unknown, done: Next | null = null): Promise<void> {
  await ensure();
  const before = session.value!.revision;
  const headers = { "If-Match": `"${before}"` };
  const after = await ofSample(
    () => call<Snapshot>(method, url(path(rest), narrowed()), { body, headers }),
    () => call<Snapshot>("GET", url(path("/snapshot"), narrowed())),
  );
  lastCall.value = { method, path: path(rest), body };
  apply(after, done);
  // Rows and settings go back too, and are in no snapshot.
  const hadOthers = history.value.some(({ operation }) => operation === "data" || operation === "change");
  if (rest === "/rewind" && hadOthers) return refresh();
  const another = rest === "/rewind" || after.epochs !== (curves.value?.epoch.at(-1) ?? 0);
  background(refreshHistory(before), another ? refreshCurves() : undefined);
}

/** Show the snapshot that a change of the session answered. */
export function apply(after: Snapshot, done: Next | null = null): void {
  const { revision, phase, allowed, steps, epochs, loss } = after;
  shown++;
  batch(() => {
    if (done?.operation === "forward" && !goesOn(snapshot.value)) sampleCount.value = rowCount.value;
    snapshot.value = after;
    justDone.value = done;
    looking.value = null;
    stopped.value = null;
    if (session.value) {
      const latest = Math.max(revision, session.value.latest_revision);
      session.value = { ...session.value, revision, latest_revision: latest, phase, next: after.next, allowed, steps, epochs, loss };
    }
  });
  if (!done) background(countSamples(after));
}

/** Whether a forward call would go on with a pass, rather than begin one over all rows. */
const goesOn = (before: Snapshot | null): boolean => before?.phase === "forward" && before.next.operation === "forward";

function background(...reads: (Promise<unknown> | undefined)[]): void {
  Promise.all(reads).catch((error: unknown) => report(error, null));
}

/** Do what the debugger's Next says: one layer, an update; or pause, continue, start again. */
export function pressNext(): void {
  if (expired.value) void startAgain();
  else if (training.value) void pause();
  else if (looking.value?.by === "link") void standAt(when());
  else
    void attempt("next", async () => {
      if (next.value && !missing(next.value.operation)) await advance(next.value);
    });
}

/** Run one layer of a pass, or the update. Throws as `call` does. */
export async function advance(step: Next): Promise<void> {
  if (step.operation === "step") await change("POST", "/step", {}, step);
  else await change("POST", `/${step.operation}`, { until: step.layer }, step);
}

/** One layer forward: the next one, or the first one anew. */
export function pressForward(): void {
  void attempt("forward", async () => {
    const layer = next.value?.operation === "forward" ? next.value.layer! : shape.value!.layers[0]!.name;
    if (!missing("forward")) await advance({ operation: "forward", layer });
  });
}

/** One layer backward: the next one, or the last one anew. */
export function pressBackward(): void {
  void attempt("backward", async () => {
    const layer = next.value?.operation === "backward" ? next.value.layer! : shape.value!.layers.at(-1)!.name;
    if (!missing("backward")) await advance({ operation: "backward", layer });
  });
}

export function pressUpdate(): void {
  void attempt("update", async () => {
    if (!missing("step")) await advance({ operation: "step" });
  });
}

/** The rest of this training step: forward, backward, update. */
export function pressWholeStep(): void {
  void attempt("step", async () => {
    if (!missing("forward")) await runTo({ operation: "step", layer: null });
  });
}

/** Run up to a station of the rail; stand at it again where it is done already. */
export function pressStation(station: Station): void {
  if (missing("forward")) return;
  void attempt("rail", async () => {
    await ensure();
    if (station.status === "next" || station.status === "todo") return runTo(station);
    const past = history.value.filter((one) => one.revision <= session.value!.revision);
    const passed = revisionOf(station, past, shape.value!);
    if (passed !== undefined) return stand({ revision: passed });
    // It was passed on the way to a later one: begin this step again, and run up to it.
    await stand({ revision: startOf(past) });
    await runTo(station);
  });
}

async function runTo({ operation, layer }: Pick<Station, "operation" | "layer">): Promise<void> {
  await ensure();
  const { layers } = shape.value!;
  const at = next.value!.operation;
  if (operation === "forward") return advance({ operation, layer: layer! });
  if (at === "forward") await advance({ operation: "forward", layer: layers.at(-1)!.name });
  if (operation === "backward") return advance({ operation, layer: layer! });
  if (next.value!.operation === "backward") await advance({ operation: "backward", layer: layers[0]!.name });
  await advance({ operation: "step", parameters: next.value!.parameters ?? [] });
}

/** The revision before the one on the screen, and the one after it. */
export function neighbour(by: -1 | 1): Revision | undefined {
  const revisions = history.value;
  const at = revisions.findIndex(({ revision }) => revision === (snapshot.value?.revision ?? 0));
  return at < 0 ? undefined : revisions[at + by];
}

/** One revision back or on. */
export function pressBack(by: -1 | 1 = -1): void {
  void attempt(by < 0 ? "back" : "on", async () => {
    if (training.value || expired.value || !session.value) return;
    wish = null;
    const here = session.value.revision;
    if (!history.value.some(({ revision }) => revision === here)) await refreshHistory(-1);
    const to = neighbour(by);
    if (to) await stand({ revision: to.revision });
  });
}

/** Stand at a revision or an epoch of the past; what came after it stays until the next change. */
export async function standAt(place: Place, control = "timeline"): Promise<boolean> {
  wish = null;
  return attempt(control, () => stand(place));
}

async function stand(place: Place): Promise<void> {
  const here = place.epoch === undefined && place.revision === session.value?.revision;
  if (here) await lookHere();
  else await change("POST", "/rewind", place);
}

let wish: Place | null = null;
let reading = false;
/** Look at the past without standing there, while the timeline is dragged. One call is under way at a time; the newest wish wins. */
export async function lookAt(place: Place): Promise<void> {
  wish = place;
  if (reading) return;
  reading = true;
  try {
    while (wish !== null) {
      const now: Place = wish;
      const [read, its] = await Promise.all([ofSample(() => call<Snapshot>("GET", url(path("/snapshot"), { ...narrowed(), ...now }))), rowsOf(now)]);
      if (wish === null) return; // it was let go
      shown++;
      batch(() => {
        looking.value = { ...now, by: "drag" };
        justDone.value = null;
        rows.value = its;
        snapshot.value = read;
      });
      background(countSamples(read));
      if (wish === now) wish = null;
    }
  } catch (error) {
    report(error, "timeline");
  } finally {
    reading = false;
  }
}

/** Look at the past until somebody goes on from there, or comes back: what a shared link does too. */
export function lookInto(place: Place): Promise<boolean> {
  return attempt("look", async () => {
    wish = null;
    const [found, its] = await Promise.all([ofSample(() => call<Snapshot>("GET", url(path("/snapshot"), { ...narrowed(), ...place }))), rowsOf(place)]);
    batch(() => {
      looking.value = { ...place, by: "link" };
      justDone.value = null;
      rows.value = its;
      snapshot.value = found;
    });
    background(countSamples(found));
  });
}

/** Stop looking at the past, and show where the session stands. */
export async function lookHere(): Promise<void> {
  wish = null;
  try {
    const its = await rowsOf({});
    batch(() => {
      looking.value = null;
      rows.value = its;
    });
    await refreshSnapshot();
  } catch (error) {
    report(error, "timeline");
  }
}

/** The rows as they were at a place; they are read again only where they have ever been others. */
async function rowsOf(place: Place): Promise<Rows | null> {
  return history.value.some(({ operation }) => operation === "data") ? call<Rows>("GET", url(path("/data"), place)) : rows.value;
}

/** A new session from the place on the screen; the page goes there. Answers whether it was made. */
export function fork(name?: string, also: "go" | "compare" = "go"): Promise<boolean> {
  return attempt("fork", async () => {
    await ensure();
    const from = path();
    const place = looking.value ? when() : { revision: session.value!.revision };
    const body = { ...place, name: name ?? forkName() };
    const made = await call<Session>("POST", path("/fork"), { body });
    lastCall.value = { method: "POST", path: `${from}/fork`, body };
    ownSessions.value = [made.id, ...ownSessions.value].slice(0, KEPT_SESSIONS);
    if (also === "compare") comparedWith.value = made.id;
    else await enter(made);
  });
}

const LONGEST_NAME = 200;
/** Unlike its parent's, so that a list can tell them apart: "notebook, from epoch 12". */
function forkName(): string | undefined {
  const name = session.value!.name?.replace(/, (fork|from epoch \d+)$/, "");
  const epoch = snapshot.value!.epochs;
  const from = epoch ? `, from epoch ${epoch}` : ", fork";
  return name ? name.slice(0, LONGEST_NAME - from.length) + from : undefined;
}

/** Show another sample of the batch. */
export function showSample(index: number): void {
  if (training.value) return; // its entries show the first of a batch
  const before = sample.value;
  sample.value = index;
  void attempt("sample", refreshSnapshot).then((done) => {
    if (!done && sample.value === index) sample.value = before;
  });
}

/** After a session has expired: a new one with the parameters on the screen. */
export function startAgain(): Promise<boolean> {
  trouble.value = null;
  return attempt("next", async () => {
    const old = session.value!.config;
    const layers = old.network.layers.map((layer, i) => {
      const { weight, bias } = snapshot.value?.layers[i]?.parameters ?? {};
      if (!weight?.value) return layer;
      return { ...layer, init: bias?.value ? { weight: weight.value, bias: bias.value } : { weight: weight.value } };
    });
    await create({ ...old, network: { ...old.network, layers } });
  });
}

/** Start from a preset or a config of one's own. */
export function startFrom(config: Config): Promise<boolean> {
  return attempt("start", () => create(config));
}

/** Change parameters by name: `{"hidden.weight[0][1]": 0.5}`. */
export function editParameters(values: Record<string, unknown>, control = "edit"): Promise<boolean> {
  return attempt(control, () => change("PATCH", "/parameters", values));
}

/** Rename the session, or change its optimizer. */
export function editSession(merged: { name?: string; optimizer?: unknown }, control = "edit"): Promise<boolean> {
  return attempt(control, async () => {
    await ensure();
    const before = session.value!.revision;
    const changed = await call<Session>("PATCH", path(), { body: merged, headers: { "If-Match": `"${before}"` } });
    lastCall.value = { method: "PATCH", path: path(), body: merged };
    session.value = changed;
    await Promise.all([refreshSnapshot(), refreshHistory(before)]);
  });
}

/** Put other rows in the place of the session's: JSON data, or a CSV file with the names of its target columns. */
export function editRows(data: unknown, targets?: string[], control = "rows"): Promise<boolean> {
  return attempt(control, async () => {
    await ensure();
    const before = session.value!.revision;
    const headers: Record<string, string> = { "If-Match": `"${before}"` };
    if (data instanceof Blob) headers["Content-Type"] = data.type;
    sample.value = 0;
    const place = url(path("/data"), { targets: targets?.join(",") });
    await call("PUT", place, { body: data, headers });
    lastCall.value = { method: "PUT", path: place, body: data };
    await enter(await call<Session>("GET", path()));
  });
}

export function removeSession(id: string): Promise<boolean> {
  return attempt("sessions", async () => {
    await call("DELETE", `/v1/sessions/${id}`);
    ownSessions.value = ownSessions.value.filter((one) => one !== id);
    if (session.value?.id === id) show((preset("notebook") ?? (await loadCatalog()).presets[0]!).config as Config);
  });
}
