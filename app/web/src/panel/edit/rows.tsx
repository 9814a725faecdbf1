/** The rows that the network is trained on: the first of them to be changed, one to be added, and others to be put in their place. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { count, plural } from "../../numbers";
import { Button, Refusal } from "../../parts/button";
import { Icon } from "../../parts/icon";
import { ensure } from "../../state/actions";
import { attempt } from "../../state/troubles";
import type { Rows as Data } from "../../types";
import { TAKES_A_NUMBER, typedNumber } from "../typed";
import { Cell } from "./cell";
import { locked, putRows, rowsNow } from "./editing";
import { Paste } from "./paste";
import { Points } from "./points";
import { isFlat, rowsOf } from "./table";

const SHOWN_ROWS = 20;
const SHOWN_COLUMNS = 8;

export function Rows(): VNode {
  const data = rowsNow.value;
  return (
    <section aria-label="Rows">
      <h2>Rows</h2>
      {data?.inputs ? (
        <>
          <p class="edit-hint">{summary(data)}</p>
          <Table data={data} />
          <Refusal of="edit-row" />
          <Points data={data} />
        </>
      ) : (
        <>
          <p class="edit-hint">They are made when the session is.</p>
          <Button control="edit-rows" onPress={() => void attempt("edit-rows", ensure)}>
            Show them
          </Button>
          <Refusal of="edit-rows" />
        </>
      )}
      <Paste />
    </section>
  );
}

function summary(data: Data): string {
  const test = data.test?.inputs?.length ?? 0;
  const all = `${plural(data.inputs!.length, "row")} of ${plural(data.inputs![0]?.length ?? 0, "input")}`;
  return test ? `${all}, and ${count(test)} for testing.` : `${all}.`;
}

function Table({ data }: { data: Data }): VNode {
  const all = rowsOf(data);
  const inputs = all[0]?.inputs.length ?? 0;
  const shownInputs = Math.min(inputs, SHOWN_COLUMNS);
  const targets = Math.min(all[0]?.targets.length ?? 0, SHOWN_COLUMNS);
  const title = (kind: "x" | "t", i: number) => (kind === "x" ? (data.input_names?.[i] ?? `x${i + 1}`) : isFlat(data) ? "class" : targets > 1 ? `t${i + 1}` : "t");
  const columns = [
    ...Array.from({ length: shownInputs }, (_, i) => ({ kind: "x" as const, i })),
    ...Array.from({ length: targets }, (_, i) => ({ kind: "t" as const, i })),
  ];
  const edit = (row: number, kind: "x" | "t", i: number) => (value: number) =>
    putRows((before) =>
      before.map((one, at) => {
        if (at !== row) return one;
        const put = (list: number[]) => list.map((old, j) => (j === i ? value : old));
        return kind === "x" ? { ...one, inputs: put(one.inputs) } : { ...one, targets: put(one.targets) };
      }),
    );
  return (
    <>
      <div class="edit-scroll edit-rows">
        <table class="edit-table">
          <thead>
            <tr>
              <td />
              {columns.map(({ kind, i }) => (
                <th key={`${kind}${i}`} scope="col">
                  {title(kind, i)}
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {all.slice(0, SHOWN_ROWS).map((row, at) => (
              <tr key={at}>
                <th scope="row">{at + 1}</th>
                {columns.map(({ kind, i }) => (
                  <td key={`${kind}${i}`}>
                    <Cell
                      label={`row ${at + 1}, ${title(kind, i)}`}
                      value={(kind === "x" ? row.inputs : row.targets)[i]}
                      onApply={edit(at, kind, i)}
                    />
                  </td>
                ))}
                <td>
                  <Button
                    class="quiet square"
                    label={`Remove row ${at + 1}`}
                    missing={locked.value ?? (all.length > 1 ? null : "The last row stays. Change it, or put others in its place.")}
                    onPress={() => void putRows((before) => before.filter((_, i) => i !== at))}
                  >
                    <Icon name="cross" size={14} />
                  </Button>
                </td>
              </tr>
            ))}
            {inputs === shownInputs && <NewRow columns={columns.map(({ kind, i }) => ({ kind, title: title(kind, i) }))} at={all.length + 1} />}
          </tbody>
        </table>
      </div>
      {(all.length > SHOWN_ROWS || inputs > shownInputs) && <small>{leftOut(all.length, inputs)}</small>}
    </>
  );
}

function leftOut(many: number, inputs: number): string {
  const parts = [];
  if (many > SHOWN_ROWS) parts.push(`${SHOWN_ROWS} of ${count(many)} rows`);
  if (inputs > SHOWN_COLUMNS) parts.push(`${SHOWN_COLUMNS} of ${count(inputs)} inputs`);
  return `Shown: the first ${parts.join(" and the first ")}.`;
}

/** The empty row below the others. */
function NewRow({ columns, at }: { columns: { kind: "x" | "t"; title: string }[]; at: number }): VNode {
  const texts = useSignal<string[]>([]);
  const values = columns.map((_, i) => typedNumber(texts.value[i] ?? ""));
  const isFull = values.every((value) => typeof value === "number");
  const add = async () => {
    if (!isFull || locked.value) return;
    const all = values as number[];
    const of = (kind: "x" | "t") => all.filter((_, i) => columns[i]!.kind === kind);
    if (await putRows((before) => [...before, { inputs: of("x"), targets: of("t") }])) texts.value = [];
  };
  return (
    <tr>
      <th scope="row">new</th>
      {columns.map(({ title }, i) => (
        <td key={title}>
          <input
            class="cell"
            inputMode="decimal"
            autocomplete="off"
            aria-label={`new row ${at}, ${title}`}
            aria-invalid={values[i] === undefined ? "true" : undefined}
            aria-disabled={locked.value ? "true" : undefined}
            title={locked.value ?? (values[i] === undefined ? TAKES_A_NUMBER : undefined)}
            readOnly={locked.value !== null}
            value={texts.value[i] ?? ""}
            onInput={(event) => (texts.value = columns.map((_, j) => (j === i ? event.currentTarget.value : (texts.value[j] ?? ""))))}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              void add();
            }}
          />
        </td>
      ))}
      <td>
        <Button
          control="edit-row"
          label="Add row"
          missing={locked.value ?? (isFull ? null : "Fill in every number of the new row first.")}
          onPress={() => void add()}
        >
          Add
        </Button>
      </td>
    </tr>
  );
}
