/** Rows of data as lines of numbers: inputs, then targets. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { plural } from "../numbers";
import { rowsAsText, rowsFromText, type InlineData } from "./config";
import { Labelled } from "./schema-form";

export interface RowsFieldProps {
  data: InlineData;
  /** How many numbers of a line are inputs. */
  inputs: number;
  /** Whether a target is the index of a class. */
  classes: boolean;
  onChange: (rows: { inputs: unknown[][]; targets: unknown[] }) => void;
  error: string | null;
}

const MOST_LINES = 12;

export function RowsField({ data, inputs, classes, onChange, error }: RowsFieldProps): VNode {
  const written = rowsAsText(data);
  const [text, setText] = useState(written);
  const { inputs: kept, targets } = rowsFromText(text, inputs, classes);
  const same = JSON.stringify([kept, targets]) === JSON.stringify([data.inputs, data.targets]);
  const shown = same ? text : written;
  return (
    <Labelled label={`rows, one a line: ${plural(inputs, "input")}, then ${classes ? "the class" : "targets"}`} error={error}>
      {(attributes) => (
        <textarea
          {...attributes}
          class="code"
          spellcheck={false}
          rows={Math.min(MOST_LINES, shown.split("\n").length + 1)}
          value={shown}
          onInput={(event) => {
            setText(event.currentTarget.value);
            onChange(rowsFromText(event.currentTarget.value, inputs, classes));
          }}
        />
      )}
    </Labelled>
  );
}
