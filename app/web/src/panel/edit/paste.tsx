/** Other rows in the place of those that there are: pasted or from a file, as a table or as JSON. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { plural } from "../../numbers";
import { Button, Refusal } from "../../parts/button";
import { editRows } from "../../state/actions";
import { shape } from "../../state/model";
import { free, locked } from "./editing";
import { isJson, likelyTargets, readTable, withLines, type Table } from "./table";

/** A longer text is not put into the field, where it would be slow, but named. */
const LONGEST_SHOWN = 100_000;

/** What was pasted: a table, JSON, or neither, with the reason. */
type Found = { table: Table } | { json: unknown } | { problem: string } | null;

function found(text: string, inputs: number): Found {
  if (text.trim() === "") return null;
  try {
    return isJson(text) ? { json: JSON.parse(text) as unknown } : { table: readTable(text, inputs) };
  } catch (error) {
    return { problem: isJson(text) ? `This is no JSON: ${(error as Error).message}.` : (error as Error).message };
  }
}

export function Paste(): VNode {
  const text = useSignal("");
  const file = useSignal<string | null>(null);
  const chosen = useSignal<string[] | null>(null);
  const { inputs } = shape.value!;
  const read = found(text.value, inputs);
  const table = read && "table" in read ? read.table : null;
  const targets = chosen.value ?? (table ? likelyTargets(table.names, inputs) : []);
  const isLong = text.value.length > LONGEST_SHOWN;
  const put = (to: string, from: string | null = null) => {
    text.value = to;
    file.value = from;
    chosen.value = null;
  };
  const send = async () => {
    if (!read || "problem" in read) return;
    const data = "json" in read ? read.json : new Blob([read.table.csv], { type: "text/csv" });
    await free();
    if (await editRows(data, "json" in read ? undefined : targets, "edit-paste")) put("");
  };
  const toggle = (name: string, on: boolean) => {
    chosen.value = table!.names.filter((one) => (one === name ? on : targets.includes(one)));
  };
  return (
    <details class="edit-layer">
      <summary>Paste rows, or choose a file</summary>
      <div class="edit-form">
        <p class="edit-hint">They take the place of all rows. A table (commas, semicolons, tabs or spaces, with or without names), or JSON.</p>
        {isLong ? (
          <p>{file.value ?? "The pasted text"} is read.</p>
        ) : (
          <label class="field">
            <span>Table or JSON</span>
            <textarea
              class="code"
              rows={5}
              spellcheck={false}
              placeholder={"x1,x2,y\n0,1,1\n1,1,0"}
              value={text.value}
              onInput={(event) => put(event.currentTarget.value)}
            />
          </label>
        )}
        <label class="field">
          <span>File</span>
          <input
            type="file"
            accept=".csv,.tsv,.txt,.json"
            onChange={async (event) => {
              const given = event.currentTarget.files?.[0];
              if (given) put(await given.text(), given.name);
            }}
          />
        </label>
        {read && "problem" in read && (
          <p class="refusal" role="alert">
            {read.problem}
          </p>
        )}
        {table && (
          <fieldset class="edit-targets">
            <legend>{plural(table.count, "row")}. Which columns are targets?</legend>
            {table.names.map((name) => (
              <label key={name}>
                <input type="checkbox" checked={targets.includes(name)} onChange={(event) => toggle(name, event.currentTarget.checked)} />
                {name}
              </label>
            ))}
          </fieldset>
        )}
        <div class="edit-actions">
          <Button
            control="edit-paste"
            missing={locked.value ?? (read && !("problem" in read) ? null : "Paste a table first.")}
            onPress={() => void send()}
          >
            Replace rows
          </Button>
          {text.value && (
            <Button class="quiet" onPress={() => put("")}>
              Clear
            </Button>
          )}
        </div>
        <Refusal of="edit-paste" say={(detail) => (table ? withLines(detail, table) : detail)} />
      </div>
    </details>
  );
}
