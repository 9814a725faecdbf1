/** One blank to fill in, with its grade. */

import type { VNode } from "preact";
import { useId } from "preact/hooks";
import { inWords } from "../../names";
import { written } from "../../numbers";
import { Icon, type IconName } from "../../parts/icon";
import { TAKES_A_NUMBER, typed } from "../typed";
import { answers, batchOf, fill, firstWrong, marks, texts, type Status } from "./grading";

/** How a grade looks, and what it is called in the legend and, where that would be too short, at a field. */
export const GRADES: Record<Status, { icon: IconName; text: string; said?: string }> = {
  correct: { icon: "check", text: "correct" },
  rounded: { icon: "rounded", text: "rounded", said: "correct, rounded" },
  follows_from_earlier_mistake: { icon: "follows", text: "follows from the mistake above" },
  wrong: { icon: "cross", text: "wrong" },
};

/** The id of the box that names the likely cause. */
export const CAUSE = "likely-cause";

export function Blank({ name, onEnter }: { name: string; onEnter: (field: HTMLInputElement) => void }): VNode {
  const id = useId();
  const text = texts.value.get(name) ?? "";
  const status = marks.value.get(name);
  const isNumber = typed(text) !== undefined;
  const answer = answers.value?.get(name);
  const answered = answers.value?.has(name) ?? false;
  const says = !isNumber ? TAKES_A_NUMBER : status ? (GRADES[status].said ?? GRADES[status].text) : null;
  const described = [says && id, firstWrong.value === name && CAUSE, answered && `${id}-answer`].filter(Boolean).join(" ");
  return (
    <div class={`blank ${status ?? ""}`}>
      {status && isNumber && <Icon name={GRADES[status].icon} />}
      <input
        inputMode="decimal"
        autocomplete="off"
        aria-label={inWords(name, batchOf.value.samples)}
        aria-invalid={status === "wrong" || !isNumber ? "true" : undefined}
        aria-describedby={described || undefined}
        value={text}
        onInput={(event) => fill(name, event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" && event.key !== "Escape") return;
          event.preventDefault();
          if (event.key === "Enter") onEnter(event.currentTarget);
          else event.currentTarget.blur(); // letters are keys again
        }}
      />
      {says && (
        <small id={id} class={isNumber ? "hidden-text" : "blank-problem"}>
          {says}
        </small>
      )}
      {answered && (
        <small id={`${id}-answer`} class="blank-answer">
          = {written(answer ?? "NaN")}
        </small>
      )}
    </div>
  );
}
