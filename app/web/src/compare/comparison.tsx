/** Two sessions side by side, A and B: how they stand, their losses, and where they differ most. */

import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { written } from "../numbers";
import { Refusal } from "../parts/button";
import { Chart } from "../parts/chart";
import { Choice } from "../parts/choice";
import { curves } from "../state/model";
import { CopyButton } from "../share/copy-button";
import { aligned } from "./aligned";
import { Cards } from "./cards";
import { Differences } from "./differences";
import { setting } from "./setting";
import { difference, other, type Forked } from "./state";
import "./compare.css";

const log = signal(true);

export function Comparison(): VNode {
  const b = other.value;
  if (!b) {
    return (
      <div class="compare">
        <Refusal of="compare" />
        <p>Computing…</p>
      </div>
    );
  }
  return (
    <>
      <div class="compare">
        <Cards />
        <Losses forked={b.forked} />
        <Differences />
        <Settings />
        <CopyButton text={() => JSON.stringify(difference.value, null, 2)}>Copy difference as JSON</CopyButton>
      </div>
      <footer class="compare-foot">
        <span>solid line = A</span>
        <span>dashed line = B</span>
        <span>bar right, blue = larger in B</span>
        <span>bar left, striped orange = smaller</span>
      </footer>
    </>
  );
}

function Losses({ forked }: { forked: Forked | null }): VNode {
  const { x, a, b } = aligned(curves.value, other.value!.curves, forked);
  const marks = forked && forked.epoch > 0 ? [{ x: forked.epoch, label: `fork at epoch ${forked.epoch}` }] : [];
  const lines = [
    { label: "A", values: a },
    { label: "B", values: b, dashed: true },
  ];
  const apart = (at: number) => (a[at] == null || b[at] == null ? "" : `B − A ${written(b[at]! - a[at]!)}`);
  return (
    <section class="compare-loss" aria-label="Losses">
      <div class="compare-loss-head">
        <span class="small">{relation(forked)}</span>
        <Choice
          label="Scale of the losses"
          options={[
            { value: "log", text: "log" },
            { value: "linear", text: "linear" },
          ]}
          value={log.value ? "log" : "linear"}
          onChoose={(to) => (log.value = to === "log")}
        />
      </div>
      {x.length ? (
        <Chart title="Loss" x={x} lines={lines} log={log.value} height={200} marks={marks} also={apart} endValues />
      ) : (
        <p class="small">Train to see curves here.</p>
      )}
    </section>
  );
}

function relation(forked: Forked | null): string {
  if (!forked) return "neither was forked from the other";
  const [child, parent] = forked.child === "B" ? ["B", "A"] : ["A", "B"];
  return `same start; ${child} forked from ${parent} at epoch ${forked.epoch}`;
}

/** What of the configs is not alike. */
function Settings(): VNode | null {
  const differs = difference.value?.config ?? [];
  if (!differs.length) return <p class="small">Their settings are alike.</p>;
  return (
    <table class="compare-settings">
      <caption>Settings differ in</caption>
      <thead>
        <tr>
          <th scope="col">setting</th>
          <th scope="col">A</th>
          <th scope="col">B</th>
        </tr>
      </thead>
      <tbody>
        {differs.map(({ pointer, value, against }) => (
          <tr key={pointer}>
            <th scope="row" class="code">
              {pointer.slice(1).replaceAll("/", ".")}
            </th>
            <td>{setting(against)}</td>
            <td>
              <strong>{setting(value)}</strong>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
