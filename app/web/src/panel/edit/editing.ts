/** What every part of Edit needs: whether anything can be changed now, and the rows as they are. */

import { computed } from "@preact/signals";
import { editRows } from "../../state/actions";
import { busy, config, expired, looking, rows, training } from "../../state/model";
import type { Rows } from "../../types";
import { dataOf, rowsOf, type DataRow } from "./table";

/** Why nothing can be changed now, or null. */
export const locked = computed(() => {
  if (expired.value) return "The session has expired. Start again first.";
  if (training.value) return "A training is under way. Pause it first.";
  if (looking.value) return "This is a look into the past. Continue from here first.";
  return null;
});

/** The rows, also where the session is not made yet and its config lists them. */
export const rowsNow = computed<Rows | null>(() => {
  const data = config.value?.data;
  const inline = data && typeof data === "object" && Array.isArray(data.inputs) ? (data as unknown as Rows) : null;
  return rows.value ?? inline;
});

/** Put changed rows in the place of these. */
export async function putRows(change: (all: DataRow[]) => DataRow[]): Promise<boolean> {
  await free();
  const data = rowsNow.value!;
  return editRows(dataOf(change(rowsOf(data)), data), undefined, "edit-row");
}

/** Resolves when no call is under way: what is typed quickly waits, and is not lost. */
export function free(): Promise<void> {
  return new Promise((resolve) => {
    const stop = busy.subscribe((control) => {
      if (control !== null) return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}
