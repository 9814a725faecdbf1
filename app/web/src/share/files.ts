/** Files of what is on the screen: asked of the API, given to the browser to keep. */

import { ask, url } from "../client";
import { path, when } from "../state/actions";
import { session, snapshot } from "../state/model";

/** Give a file to the person. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** `notebook-4.csv`: the session's name and revision, in letters that every system can keep. */
export function fileName(ending: string, name = session.value?.name ?? "session", revision = snapshot.value?.revision ?? 0): string {
  const plain = name.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+|-+$/g, "") || "session";
  return `${plain}-${revision}${ending}`;
}

/** Something of the session that can be kept as a file. */
export interface Kept {
  title: string;
  says: string;
  ending: string;
  path: string;
  accept: string;
}

export const CURVES: Kept = {
  title: "Curves, CSV", says: "loss, accuracy and the rest, a line an epoch", ending: "-curves.csv", path: "/curves", accept: "text/csv",
}; // prettier-ignore

export const FILES: readonly Kept[] = [
  CURVES,
  { title: "Snapshot, JSON", says: "every number on the screen", ending: "-snapshot.json", path: "/snapshot", accept: "application/json" },
  { title: "Snapshot, npz", says: "the same for numpy.load", ending: "-snapshot.npz", path: "/snapshot", accept: "application/x-npz" },
  { title: "Session, JSON", says: "all of its state; posted, it goes on from here", ending: "-session.json", path: "/export", accept: "application/json" },
]; // prettier-ignore

/** Ask for a file and save it. Throws as `call` does. */
export async function fetchFile({ path: rest, accept, ending }: Kept): Promise<void> {
  const place = rest === "/curves" ? path(rest) : url(path(rest), when());
  const answer = await ask("GET", place, { headers: { Accept: accept } });
  save(fileName(ending), await answer.blob());
}

/** The session as a PyTorch script. Throws as `call` does. */
export async function pytorch(): Promise<string> {
  const answer = await ask("GET", url(path("/export"), { format: "pytorch", ...when() }));
  return answer.text();
}
