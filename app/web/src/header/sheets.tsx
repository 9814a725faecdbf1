/** The sheets above the page: what `open` says. */

import type { VNode } from "preact";
import { CompareSheet } from "../sheets/compare";
import { CopySheet } from "../sheets/copy";
import { KeysSheet } from "../sheets/keys";
import { MoreSheet } from "../sheets/more";
import { SessionsSheet } from "../sheets/sessions";
import { ShareSheet } from "../sheets/share";
import { TrainSheet } from "../sheets/train";
import { UntilSheet } from "../sheets/until";
import { Start } from "../start/start";
import { open } from "../state/model";
import "../sheets/sheets.css";

const SHEETS = {
  keys: KeysSheet, train: TrainSheet, until: UntilSheet, new: Start, sessions: SessionsSheet, compare: CompareSheet, share: ShareSheet,
  copy: CopySheet, more: MoreSheet,
} as const; // prettier-ignore

export function Sheets(): VNode | null {
  if (!open.value) return null;
  const Open = SHEETS[open.value];
  return <Open key={open.value} />;
}
