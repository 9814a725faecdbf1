/** The page's address holds what it shows: `#session=ID&revision=4&of=hidden.bias.gradient[0]&panel=explain&view=graph&with=ID2`. */

import { batch, effect, untracked } from "@preact/signals";
import { loadCatalog, openSession, preset, refresh, show } from "./actions";
import { comparedWith, looking, panel, selection, session, tab, trail, view, type Panel, type View } from "./model";
import { onReload, report } from "./troubles";

export interface Address {
  session?: string;
  revision?: number;
  of?: string;
  panel?: Panel;
  view?: View;
  with?: string;
}

const PANELS: readonly string[] = ["explain", "watch", "check", "edit"];
const VIEWS: readonly string[] = ["graph", "numbers", "maps"];

/** What an address says; what it cannot mean is left out. */
export function read(hash: string): Address {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const found: Address = {};
  const id = parts.get("session");
  if (id) found.session = id;
  const revision = parts.get("revision");
  if (revision !== null && /^\d{1,15}$/.test(revision)) found.revision = Number(revision);
  const of = parts.get("of");
  if (of) found.of = of;
  const panel = parts.get("panel");
  if (panel && PANELS.includes(panel)) found.panel = panel as Panel;
  const view = parts.get("view");
  if (view && VIEWS.includes(view)) found.view = view as View;
  const other = parts.get("with");
  if (other) found.with = other;
  return found;
}

export function write(address: Address): string {
  const parts = Object.entries(address).filter((pair) => pair[1] !== undefined);
  // Brackets and dots are kept as they are: names should be readable.
  const said = parts.map(([key, value]) => `${key}=${encodeURIComponent(String(value)).replaceAll("%5B", "[").replaceAll("%5D", "]")}`);
  return said.length ? `#${said.join("&")}` : "";
}

/** The address of what is on the screen. `pinned` says its revision, for sharing; otherwise only a look into the past does. */
export function current(pinned = false): Address {
  const here = session.value;
  if (!here) return {};
  const found: Address = { session: here.id };
  if (pinned || looking.value?.by === "link") found.revision = looking.value?.revision ?? here.revision;
  if (selection.value) found.of = selection.value;
  if (panel.value !== "explain") found.panel = panel.value;
  if (view.value) found.view = view.value;
  if (comparedWith.value) found.with = comparedWith.value;
  return found;
}

let quiet = false;

/** Show what the address says. */
export async function arrive(): Promise<void> {
  try {
    await follow(read(location.hash));
  } catch (error) {
    if (!session.value && preset("notebook")) show(preset("notebook")!.config);
    report(error, null);
  }
}

async function follow(wanted: Address): Promise<void> {
  quiet = true;
  try {
    await loadCatalog();
    if (!wanted.session) {
      if (!session.value) show(preset("notebook")!.config);
      return;
    }
    const elsewhere = session.value?.id !== wanted.session || looking.value?.revision !== wanted.revision;
    if (elsewhere) await openSession(wanted.session, wanted.revision);
    batch(() => {
      selection.value = wanted.of ?? null;
      trail.value = [];
      if (wanted.of || wanted.panel) tab.value = panel.value = wanted.panel ?? "explain";
      view.value = wanted.view ?? null;
      comparedWith.value = wanted.with ?? null;
    });
  } finally {
    quiet = false;
  }
}

/** Once the server answers again: the session is read anew, or what the address says for the first time. */
onReload(() => (session.value ? refresh() : follow(read(location.hash))));

/** Keep the address as the page is: selecting makes a new entry in the browser's history, stepping replaces it. */
export function keepAddress(): void {
  let selected: string | null = null;
  effect(() => {
    const hash = write(current());
    const of = selection.value;
    untracked(() => {
      const more = of !== selected && of !== null;
      selected = of;
      if (quiet || hash === location.hash || !session.value) return;
      const address = `${location.pathname}${hash}`;
      if (more) history.pushState(null, "", address);
      else history.replaceState(null, "", address);
    });
  });
  addEventListener("popstate", () => void arrive());
}
