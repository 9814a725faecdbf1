/** The parameter that is selected on the page, to be changed. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { call } from "../../client";
import { entry, inWords, parse, tensorName } from "../../names";
import { Refusal } from "../../parts/button";
import { Symbol } from "../../parts/math";
import { editParameters, path } from "../../state/actions";
import { revision, selection, session, shown } from "../../state/model";
import { report } from "../../state/troubles";
import { Cell } from "./cell";

/** The parameter's number that a selection stands for: itself, or what the selected gradient is of. */
export function parameterOf(name: string | null): string | null {
  if (name === null) return null;
  const { quantity, of, index } = parse(name);
  if ((quantity !== "weight" && quantity !== "bias") || (of !== null && of !== "gradient")) return null;
  return entry(tensorName(name).replace(/\.gradient$/, ""), ...index);
}

export function Selected(): VNode {
  const name = parameterOf(selection.value);
  return (
    <section aria-label="Selected">
      <h2>Selected</h2>
      {name ? (
        <One key={name} name={name} />
      ) : (
        <p class="edit-hint">
          {selection.value ? `${capital(inWords(selection.value))} is computed. ` : ""}Select a weight or a bias to change it here.
        </p>
      )}
    </section>
  );
}

function One({ name }: { name: string }): VNode {
  const value = useValue(name);
  return (
    <>
      <label class="edit-selected" for="edit-selected">
        <Symbol of={name} />
        <span>=</span>
        <Cell
          id="edit-selected"
          full
          label={inWords(name)}
          value={value}
          onApply={(to) => editParameters({ [name]: to }, "edit-selected")}
        />
        <small>{inWords(name)}. Enter applies.</small>
      </label>
      <Refusal of="edit-selected" />
    </>
  );
}

/** A number of the screen, or, of a network whose parameters are too many for that, one that is read alone. */
function useValue(name: string): number | undefined {
  const read = useSignal<number | undefined>(undefined);
  const here = shown(name);
  const isMissing = typeof here !== "number" && session.value !== null;
  useEffect(() => {
    if (!isMissing) return;
    call<{ value: unknown }>("GET", path(`/tensors/${encodeURIComponent(name)}`))
      .then(({ value }) => (read.value = typeof value === "number" ? value : undefined))
      .catch((error: unknown) => report(error, "edit-selected"));
  }, [name, revision.value, isMissing]);
  return typeof here === "number" ? here : read.value;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
