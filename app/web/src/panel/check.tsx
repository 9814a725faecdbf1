/** Check my working: a sheet of blanks for the next step, graded by the API. */

import { useSignalEffect } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { inWords } from "../names";
import { Button, Refusal } from "../parts/button";
import { Choice } from "../parts/choice";
import { Icon } from "../parts/icon";
import { pressNext } from "../state/actions";
import { answered, asked, config, expired, next, panel, rows, snapshot, tab, training, wrong } from "../state/model";
import { nextLabel } from "../state/next";
import { Blank, GRADES } from "./check/blank";
import type { Group, Row } from "./check/blanks";
import { Cause } from "./check/cause";
import {
  answers, blanks, cause, check, clear, extent, firstWrong, groups, isRight, isTooEarly, marks, showAnswers, solved, texts, typedAs, unready,
  type Status,
} from "./check/grading"; // prettier-ignore
import { Quantity } from "./check/quantity";
import "./check.css";

export function Check(): VNode {
  const form = useRef<HTMLFormElement>(null);
  // What is asked for stays hidden in the graph until it is answered; what is wrong stands there as it was typed.
  useSignalEffect(() => {
    asked.value = new Set(blanks.value);
    wrong.value = typedAs((status) => status === "wrong");
    answered.value = typedAs(isRight);
  });
  useEffect(
    () => () => {
      asked.value = new Set();
      wrong.value = new Map();
      answered.value = new Map();
    },
    [],
  );
  const nothing = whyNothing();
  const onEnter = (field: HTMLInputElement) => {
    const fields = [...form.current!.querySelectorAll("input")];
    const following = fields.slice(fields.indexOf(field) + 1).find(({ value }) => value === "");
    if (field.value !== "" && following) following.focus();
    else void check();
  };
  return (
    <form ref={form} class="check" onSubmit={(event) => event.preventDefault()}>
      <div class="check-head">
        <h2>Check my working</h2>
        {!nothing && (
          <Button class="quiet" control="answers" onPress={showAnswers}>
            {answers.value ? "Hide answers" : "Show answers"}
          </Button>
        )}
      </div>
      {nothing ?? (
        <>
          <Choice
            label="What to work out"
            options={[
              { value: "next", text: "Next step" },
              { value: "whole", text: "Whole step" },
            ]}
            value={extent.value}
            onChoose={(to) => (extent.value = to)}
          />
          <p class="check-intro">{extent.value === "whole" ? "One training step from its start" : label()}. As many decimals as you like.</p>
          {groups.value.map((group) => (
            <Sheet key={group.title} group={group} titled={groups.value.length > 1} onEnter={onEnter} />
          ))}
          <Refusal of={["check", "answers"]} />
          <Foot />
        </>
      )}
    </form>
  );
}

const label = () => `${nextLabel.value.verb} ${nextLabel.value.rest}`;

/** Why there is nothing to check, and what to do about it. */
function whyNothing(): VNode | null {
  if (expired.value) return <p>This session has expired. Start again, and then check the next step.</p>;
  if (training.value) return <p>A training is under way. Pause it, and then check the next step.</p>;
  if (!next.value) return <p>There is no next step to work out.</p>;
  if (config.value?.data || rows.value || snapshot.value?.inputs) return null;
  return (
    <>
      <p>There are no rows to compute with.</p>
      <Button
        onPress={() => {
          panel.value = "edit";
          tab.value = "edit";
        }}
      >
        Add rows
      </Button>
    </>
  );
}

function Sheet({ group, titled, onEnter }: { group: Group; titled: boolean; onEnter: (field: HTMLInputElement) => void }): VNode {
  const { title, notes, units, rows } = group;
  const wide = units > 3;
  return (
    <section class="check-group" aria-label={title}>
      {titled && <h3>{title}</h3>}
      {notes.map((note) => (
        <small key={note}>{note}</small>
      ))}
      <div class={wide ? "check-scroll wide" : "check-scroll"} {...(wide ? { tabIndex: 0, role: "group", "aria-label": `${title}: blanks` } : {})}>
        <table>
          <thead>
            <tr>
              <td />
              {Array.from({ length: units }, (_, j) => (
                <th key={j} scope="col">
                  unit {j + 1}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Line key={`${row.tensor} ${row.input}`} row={row} units={units} onEnter={onEnter} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Line({ row, units, onEnter }: { row: Row; units: number; onEnter: (field: HTMLInputElement) => void }): VNode {
  const { tensor, input, entries, single } = row;
  const isCaused = firstWrong.value !== null && entries.includes(firstWrong.value);
  return (
    <>
      <tr>
        <th scope="row">
          {tensor.endsWith(".next") && <small>new</small>}
          <Quantity row={row} />
          <span class="hidden-text">
            {inWords(tensor)}
            {input !== undefined && ` from input ${input + 1}`}
          </span>
        </th>
        {entries.map((name) => (
          <td key={name}>
            <Blank name={name} onEnter={onEnter} />
          </td>
        ))}
        {single && units > 1 && (
          <td colSpan={units - 1}>
            <small>{single}</small>
          </td>
        )}
      </tr>
      {isCaused && cause.value && (
        <tr>
          <td colSpan={units + 1}>
            <Cause cause={cause.value} />
          </td>
        </tr>
      )}
    </>
  );
}

function Foot(): VNode {
  const statuses = [...marks.value.values()];
  return (
    <>
      {statuses.length > 0 && <Legend statuses={statuses} />}
      <div class="check-actions">
        {solved.value ? (
          <Button class="next" control="next" onPress={pressNext}>
            <Icon name="next" />
            {label()}
          </Button>
        ) : (
          <Button class="next" control="check" onPress={() => void check()}>
            {statuses.length ? "Check again" : "Check"}
            <kbd class="key" aria-hidden="true">
              Enter
            </kbd>
          </Button>
        )}
        <Button missing={texts.value.size ? null : "There is nothing to clear."} onPress={clear}>
          Clear
        </Button>
        <p class="check-score" role="status">
          {isTooEarly.value && unready.value ? unready.value : score(statuses)}
        </p>
      </div>
    </>
  );
}

function Legend({ statuses }: { statuses: Status[] }): VNode {
  return (
    <ul class="check-legend">
      {(Object.keys(GRADES) as Status[])
        .filter((status) => statuses.includes(status))
        .map((status) => (
          <li key={status} class={status}>
            <Icon name={GRADES[status].icon} />
            {GRADES[status].text}
          </li>
        ))}
    </ul>
  );
}

/** What came of it, in a sentence. */
function score(statuses: Status[]): string {
  if (!statuses.length) return "";
  if (solved.value) return statuses.length === 1 ? "Correct." : `All ${statuses.length} correct.`;
  const right = statuses.filter(isRight).length;
  const left = blanks.value.length - statuses.length;
  return `${right} of ${statuses.length} correct${left ? `, ${left} left` : ""}.`;
}
