/** Back, Next, the rail of one training step, and longer steps. */

import type { VNode } from "preact";
import { ComparisonStepper } from "../compare/stepper";
import { count } from "../numbers";
import { Button } from "../parts/button";
import { Icon } from "../parts/icon";
import { pressBack, pressNext, pressWholeStep } from "../state/actions";
import { comparedWith, open, training } from "../state/model";
import { checking, missing, nextLabel } from "../state/next";
import { train, trainOptions } from "../state/training";
import { Progress } from "./progress";
import { Rail } from "./rail";
import "./stepper.css";

/** A label with more letters is set smaller: Next does not grow. */
const LONG = 23;

export function Stepper(): VNode {
  if (comparedWith.value) return <ComparisonStepper />;
  return (
    <section class="stepper" aria-label="Stepper">
      <div class="step-bar">
        <Button control="back" hotkey="," class="step-back" label="Back" onPress={() => pressBack()}>
          <Icon name="back" />
          <span class="back-word">Back</span>
        </Button>
        <NextButton />
        <More />
      </div>
      {training.value ? <Progress /> : <Rail />}
      <Longer />
    </section>
  );
}

/** The one filled button, but while a person checks their own working: then "Check" is it. */
function NextButton(): VNode {
  const { verb, rest } = nextLabel.value;
  return (
    <Button id="next" control="next" hotkey={training.value ? "P" : "N"} class={checking.value ? "step-next" : "step-next next"} onPress={pressNext}>
      <Icon name={training.value ? "pause" : "next"} />
      <span class={verb.length + rest.length > LONG ? "next-label long" : "next-label"}>
        <b>{verb}</b> {rest}
      </span>
    </Button>
  );
}

function Longer(): VNode {
  return (
    <div class="step-longer">
      <Button control="step" hotkey="S" onPress={pressWholeStep}>
        Whole step
      </Button>
      <div class="step-split">
        <Button control="train" hotkey="T" onPress={() => void train()}>
          <span>
            Train <b>{count(trainOptions.value.epochs)}</b>
          </span>
        </Button>
        <Button class="square" label="How to train" missing={missing("train")} expanded={open.value === "train"} onPress={() => (open.value = "train")}>
          <Icon name="down" />
        </Button>
      </div>
      <Button class="step-until" control="until" hotkey="R" onPress={() => (open.value = "until")}>
        Run until…
      </Button>
      <More />
    </div>
  );
}

/** What has no room of its own on a narrow screen. */
function More(): VNode {
  return (
    <Button class="square step-more" label="More" expanded={open.value === "more"} onPress={() => (open.value = "more")}>
      <Icon name="more" />
    </Button>
  );
}
