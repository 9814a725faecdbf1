/** One sentence above the network: what just happened, and what comes next. */

import { computed } from "@preact/signals";
import type { VNode } from "preact";
import { written, type Value } from "../numbers";
import { Num } from "../parts/num";
import { Symbol } from "../parts/math";
import { asked, expired, history, looking, notice, panel, rows, sample, session, shape, snapshot, stopped, training } from "../state/model";
import { nextLabel } from "../state/next";
import { narrate, progress, spoken, type Part } from "./narration";
import "./narrator.css";

const sentence = computed<Part[]>(() => {
  if (!shape.value || !snapshot.value) return [];
  if (notice.value) return [notice.value];
  return narrate({
    shape: shape.value,
    snapshot: snapshot.value,
    next: nextLabel.value,
    history: history.value,
    latest: session.value?.latest_revision ?? 0,
    looking: looking.value,
    training: training.value,
    stopped: stopped.value,
    expired: expired.value,
    checking: panel.value === "check" && asked.value.size > 0,
    sample: sample.value,
    samples: rows.value?.inputs?.length ?? snapshot.value.inputs?.length ?? 1,
  });
});

/** What is read out: of a training only its start, each tenth, and its end. */
const announced = computed(() => (training.value ? progress(training.value) : spoken(sentence.value)));

export function Narrator(): VNode {
  return (
    <>
      <p class="narrator">
        {sentence.value.map((part, k) => (
          <Piece key={k} part={part} />
        ))}
      </p>
      <p class="hidden-text" role="status">
        {announced}
      </p>
    </>
  );
}

function Piece({ part }: { part: Part }): VNode {
  if (typeof part === "string") return <>{part}</>;
  if ("next" in part) return <strong class="teal">{part.next}</strong>;
  if ("then" in part) {
    return (
      <span class="then">
        {" "}
        Next, <strong class="teal">{part.then}</strong>.
      </span>
    );
  }
  if ("more" in part) return <span class="more">{part.more}</span>;
  if ("symbol" in part) return <Symbol of={part.symbol} />;
  return "of" in part ? <Num of={part.of} /> : <Figure value={part.figure} />;
}

function Figure({ value }: { value: Value }): VNode {
  return <span class="figure">{written(value)}</span>;
}
