/** What the panel says while no number is selected: the five presses of a training step, and networks to start from. */

import type { VNode } from "preact";
import { useId } from "preact/hooks";
import { Refusal } from "../parts/button";
import { Icon } from "../parts/icon";
import { Symbol } from "../parts/math";
import { pressNext, startFrom } from "../state/actions";
import { busy, catalog, comparedWith, config, expired, fitsCards, looking, open, shape, snapshot, training } from "../state/model";
import { stations } from "../state/next";
import { dimensions, shapeOf } from "../state/shape";
import type { Preset } from "../types";
import { stepsOf, type Step } from "./lesson-steps";
import "./lesson.css";

export function Lesson(): VNode {
  const network = shape.value;
  const steps = network ? stepsOf(stations.value, network) : [];
  const size = fitsCards.value ? "small network" : "network";
  const { steps: taken = 0, phase } = snapshot.value ?? {};
  const done = phase === "ready" ? `All ${steps.length} presses are done: that was a training step, and the next one begins. ` : "";
  const after = taken > 0 ? `${done}Each step makes the loss a little smaller; Train takes many.` : "";
  return (
    <div class="lesson">
      <h1>Train a network by hand</h1>
      <p>
        {after || `This ${size} is ready.`} Every number on the page is computed by the server; select any of them to see where it comes from.
      </p>
      <ol class="steps">
        {steps.map((step, i) => (
          <LessonStep key={step.title} step={step} number={i + 1} />
        ))}
      </ol>
      <Presets />
    </div>
  );
}

function LessonStep({ step: { title, text, status }, number }: { step: Step; number: number }): VNode {
  const current = status === "next" && !expired.value && !training.value && looking.value?.by !== "link" && !comparedWith.value;
  return (
    <li class={current ? "current" : status === "done" ? "done" : undefined} aria-current={current ? "step" : undefined}>
      <span class="step-number">
        {status === "done" ? <Icon name="check" /> : number}
        {status === "done" && <span class="hidden-text">done</span>}
      </span>
      <span>
        {current ? (
          <button type="button" class="step-title" onClick={pressNext} aria-keyshortcuts="N">
            {title}
            <kbd class="key" aria-hidden="true">N</kbd>
          </button>
        ) : (
          <span class="step-title">{title}</span>
        )}
        <span class="step-text">{text.split(/\b(L)\b/).map((part) => (part === "L" ? <Symbol key="L" of="loss" label="L" /> : part))}</span>
      </span>
    </li>
  ); // prettier-ignore
}

const FIRST = ["notebook", "xor", "circles", "spiral", "digits", "pytorch"];
const TITLES: Record<string, string> = { xor: "XOR", pytorch: "PyTorch half" };
const NOTES: Record<string, string> = { notebook: "2–2–1, by hand", pytorch: "as nn.Linear" };

/** The presets to start from, and a network of one's own. */
export function Presets({ title = "Or start from", onStarted }: { title?: string; onStarted?: () => void }): VNode {
  const id = useId();
  const all = (catalog.value?.presets ?? []) as unknown as Preset[];
  const rank = ({ name }: Preset) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const here = config.value?.name;
  return (
    <section class="presets" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <ul>
        {all.toSorted((a, b) => rank(a) - rank(b)).map((one) => (
          <li key={one.name}>
            <button
              type="button"
              class="preset"
              title={one.title}
              aria-current={one.name === here ? "true" : undefined}
              aria-busy={busy.value === "start" ? "true" : undefined}
              onClick={() => void startFrom(one.config).then((done) => done && onStarted?.())}
            >
              <b>{TITLES[one.name] ?? titled(one.name)}</b>
              <small>{NOTES[one.name] ?? dimensions(shapeOf(one.config).sizes, "–")}</small>
            </button>
          </li>
        ))}
        <li>
          <button type="button" class="preset" onClick={() => (open.value = "new")}>
            <b>My own…</b>
            <small>form or JSON</small>
          </button>
        </li>
      </ul>
      <Refusal of="start" />
    </section>
  ); // prettier-ignore
}

const titled = (name: string) => name[0]!.toUpperCase() + name.slice(1).replaceAll("-", " ");
