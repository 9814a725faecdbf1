/** Where A and B differ most, a row for each tensor. A number that is selected is explained as A has it. */

import { computed, signal } from "@preact/signals";
import type { VNode } from "preact";
import { tensorName, valueOf } from "../names";
import { percent, written, type Value } from "../numbers";
import { Choice } from "../parts/choice";
import { Num } from "../parts/num";
import { fullPrecision } from "../state/settings";
import { selection, shown } from "../state/model";
import { differences, type Difference, type Kind } from "./aligned";
import { difference, other, underWay } from "./state";

const kind = signal<Kind>("parameters");
const KINDS = [
  { value: "parameters", text: "Parameters" },
  { value: "gradients", text: "Gradients" },
  { value: "activations", text: "Activations" },
] as const;

const rows = computed<Difference[]>(() => differences(difference.value, kind.value));

/** The number that is selected, where it is not in a row already. */
const selected = computed<Difference | null>(() => {
  const of = selection.value;
  const numbers = other.value?.snapshot;
  if (of === null || !numbers || rows.value.some((row) => row.of === of)) return null;
  const [a, b] = [numeric(shown(of)), numeric(valueOf(numbers, of))];
  if (a === null && b === null) return null;
  const by = a === null || b === null ? null : b - a;
  return { tensor: tensorName(of), of, index: [], a, b, by, relative: by === null || !a ? null : Math.abs(by / a), share: 0 };
});

const numeric = (value: Value): number | null => (typeof value === "number" ? value : null);

export function Differences(): VNode {
  const { equal = true, only_here: more = [], only_there: fewer = [] } = difference.value ?? {};
  return (
    <section aria-label="Largest differences">
      <div class="compare-head-row">
        <h2>Largest differences</h2>
        <Choice label="Differences of" options={KINDS} value={kind.value} onChoose={(to) => (kind.value = to)} />
      </div>
      <div class="compare-scroll">
        <table class="compare-table">
          <thead>
            <tr>
              <th scope="col">largest difference in</th>
              <th scope="col">entry</th>
              <th scope="col">A</th>
              <th scope="col">B</th>
              <th scope="col">B − A</th>
              <th scope="col" class="compare-bars">
                <span class="hidden-text">as a bar</span>
              </th>
              <th scope="col">relative</th>
            </tr>
          </thead>
          <tbody>
            {rows.value.map((row) => (
              <Row key={row.tensor} {...row} />
            ))}
            {selected.value && <Row {...selected.value} />}
            {!rows.value.length && (
              <tr>
                <td colSpan={7} class="compare-none">
                  {underWay() ? "Shown when the training is over." : equal ? "A and B are equal, to the last bit." : "Nothing of this kind differs."}
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
      {more.length + fewer.length > 0 && (
        <p class="small">
          {more.length > 0 && `Only B has ${few(more)}. `}
          {fewer.length > 0 && `Only A has ${few(fewer)}.`}
        </p>
      )}
    </section>
  );
}

const few = (names: readonly string[]): string => (names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", "));

function Row({ tensor, of, a, b, by, relative, share }: Difference): VNode {
  return (
    <tr class={of === selection.value ? "selected" : undefined}>
      <th scope="row" class="code">
        {tensor}
      </th>
      <td class="code">{of.slice(tensor.length)}</td>
      <td>
        <Num of={of} value={a} />
      </td>
      <td>
        <Num of={of} value={b} />
      </td>
      <td>{written(by, fullPrecision.value)}</td>
      <td class="compare-bars">
        <Bar share={share} />
      </td>
      <td>{relative === null ? "–" : percent(relative)}</td>
    </tr>
  );
}

/** Right of the middle where B is larger, left where it is smaller. */
function Bar({ share }: { share: number }): VNode {
  const width = Math.abs(share) * 50;
  return (
    <span class="compare-bar" aria-hidden="true">
      {share !== 0 && <span class={share > 0 ? "more" : "less"} style={{ width: `max(2px, ${width}%)` }} />}
    </span>
  );
}
