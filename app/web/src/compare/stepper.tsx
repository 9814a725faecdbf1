/** The stepper while two sessions are compared: it acts on one of them, or on both. */

import type { VNode } from "preact";
import { plural } from "../numbers";
import { Button, Refusal } from "../parts/button";
import { Choice } from "../parts/choice";
import { Icon } from "../parts/icon";
import { comparedWith, training } from "../state/model";
import { checking, missing } from "../state/next";
import { trainOptions } from "../state/training";
import { acting, backCompared, pressCompared, stepCompared, swap, trainingB, underWay, unready } from "./state";
import "./compare.css";

const ACTING = [
  { value: "a", text: "Step A" },
  { value: "b", text: "Step B" },
  { value: "both", text: "Both together" },
] as const;
const WHOM = { a: "A", b: "B", both: "both" };

export function ComparisonStepper(): VNode {
  const running = training.value !== null || trainingB.value !== null;
  const why = unready() ?? (acting.value === "b" ? null : missing("train"));
  const { epochs } = trainOptions.value;
  return (
    <section class="stepper compare-stepper" aria-label="Stepper">
      <div class="step-bar">
        <Button control="back" class="step-back" missing={why} label="Back" onPress={backCompared}>
          <Icon name="back" />
          <span class="back-word">Back</span>
          <kbd class="key" aria-hidden="true">
            ,
          </kbd>
        </Button>
        <Button
          id="next"
          control={running ? "next" : "train"}
          hotkey={running ? "P" : "T"}
          class={checking.value ? "step-next" : "step-next next"}
          missing={running ? null : why}
          onPress={pressCompared}
        >
          <Icon name={running ? "pause" : "next"} />
          <span class="next-label">
            <b>{running ? "Pause" : `Train ${WHOM[acting.value]}`}</b> {running ? "after this epoch" : plural(epochs, "epoch")}
          </span>
        </Button>
      </div>
      <div class="compare-acts">
        <Choice label="Which to step" options={ACTING} value={acting.value} onChoose={(to) => (acting.value = to)} />
        <Button control="step" hotkey="S" missing={why} onPress={stepCompared}>
          Whole step
        </Button>
        <Button control="swap" missing={underWay()} onPress={swap}>
          Swap A and B
        </Button>
        <Button onPress={() => (comparedWith.value = null)}>
          Close comparison
          <kbd class="key" aria-hidden="true">
            Esc
          </kbd>
        </Button>
      </div>
      <Refusal of={["train", "step", "back", "swap", "compare"]} />
    </section>
  );
}
