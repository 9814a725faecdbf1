/** Below the stage: which view, what its lines mean, and which sample. */

import type { VNode } from "preact";
import { Choice } from "../parts/choice";
import { Icon } from "../parts/icon";
import { showSample } from "../state/actions";
import { count } from "../numbers";
import { fitsGraph, sample, sampleCount, shownView, training, view } from "../state/model";
import { DECIMALS } from "../state/live";
import { plane } from "../state/plane";
import { drawn, showsGradients } from "./graph-model";
import "./foot.css";

export function Foot(): VNode {
  const missing = fitsGraph.value ? null : "Graph needs 16 units or fewer in each layer";
  return (
    <div class="foot">
      <Choice
        label="View"
        value={shownView.value}
        options={[
          { value: "graph", text: "Graph", missing },
          { value: "numbers", text: "Numbers" },
          { value: "maps", text: "Heat maps" },
        ]}
        onChoose={(chosen) => (view.value = chosen)}
      />
      {shownView.value === "graph" ? <Legend /> : missing && <p class="legend">{missing}.</p>}
      <SampleStepper />
    </div>
  );
}

function Legend(): VNode {
  const tiles = drawn.value?.drawing.cards === false;
  return (
    <p class="legend">
      <span>
        Lines: {showsGradients.value ? "gradient" : "weight"}
        {showsGradients.value && !tiles && <span class="in-full"> of each weight</span>}
      </span>
      <span>
        <Stroke sign="positive" /> +
      </span>
      <span>
        <Stroke sign="negative" /> −
      </span>
      <span>{training.value ? `rounded to ${DECIMALS} decimals while training` : "thicker = larger"}</span>
      {tiles && (
        <>
          <span>tile = activation{plane.value ? (plane.value.domain.length === 2 ? " over the plane" : " along the input") : ""}</span>
          <span>dot = bias</span>
        </>
      )}
    </p>
  );
}

function Stroke({ sign }: { sign: "positive" | "negative" }): VNode {
  return (
    <svg width="34" height="8" aria-hidden="true">
      <path class={`line ${sign}`} d="M0 4H34" stroke-width="3" />
    </svg>
  );
}

function SampleStepper(): VNode | null {
  const many = sampleCount.value;
  if (many <= 1) return null;
  const at = sample.value;
  const step = (by: -1 | 1, label: string, icon: "back" | "next") => {
    const why = training.value ? "A training is under way." : at + by < 0 ? "This is the first sample." : at + by >= many ? "This is the last sample." : null;
    return (
      <button type="button" class="button quiet square" aria-label={label} title={why ?? label} aria-disabled={why ? "true" : undefined} onClick={() => !why && showSample(at + by)}>
        <Icon name={icon} size={14} />
      </button>
    );
  }; // prettier-ignore
  return (
    <div class="samples" role="group" aria-label="Sample">
      {step(-1, "Sample before", "back")}
      <span>
        sample {count(at + 1)} of {count(many)}
      </span>
      {step(1, "Next sample", "next")}
    </div>
  );
}
