/** Where the selected number comes from: its value, one plain sentence, the formula, the chain rule, the update to come. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { other } from "../compare/state";
import { Num } from "../parts/num";
import { Math, Symbol } from "../parts/math";
import { inWords, valueOf } from "../names";
import { count, written } from "../numbers";
import { lookHere, lookInto } from "../state/actions";
import { explained, selectBack, type Explained } from "../state/explaining";
import { expired, history, looking, rows, selection, session, shape, shown, snapshot, trail, training, trouble } from "../state/model";
import { nextLabel } from "../state/next";
import { fullPrecision } from "../state/settings";
import type { Explanation } from "../types";
import { Icon } from "../parts/icon";
import { Formula } from "./formula";
import { Ledger } from "./ledger";
import { Lesson } from "./lesson";
import { Sentence } from "./sentence";
import "./explain.css";

export function Explain(): VNode {
  const now = useKept(explained.value);
  const of = selection.value;
  if (of === null) return <Lesson />;
  const here = explained.value?.of === of ? now : null; // while training, and once expired, no new one is asked for
  const about = here?.of ?? of;
  const ready = here?.status === "ready" && !training.value ? here : null;
  return (
    <div class="explain">
      <Trail />
      <Head of={about} explanation={ready?.explanation ?? null} />
      {ready ? <Body of={about} explanation={ready.explanation} update={ready.update} /> : <Without found={here} />}
    </div>
  );
}

const SLOW_MS = 300;

/** While the next explanation is on its way the last one stays, so that nothing flickers; but not for long. */
function useKept(now: Explained | null): Explained | null {
  const kept = useRef<Explained | null>(null);
  const [slow, setSlow] = useState(false);
  const loading = now?.status === "loading";
  useEffect(() => {
    setSlow(false);
    if (!loading) return undefined;
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, [loading, now?.of]);
  if (!loading) kept.current = now;
  return loading && !slow ? (kept.current ?? now) : now;
}

const MOST_ANCESTORS = 4;

/** The numbers that were selected on the way to this one. */
function Trail(): VNode {
  const names = trail.value;
  const first = names.length > MOST_ANCESTORS ? names.length - MOST_ANCESTORS : 0;
  return (
    <nav class="trail" aria-label="Trail">
      <button type="button" class="button" onClick={() => selectBack()}>
        <Icon name="back" size={14} />
        Back
      </button>
      <ol>
        {first > 0 && <li>…</li>}
        {names.slice(first).map((name, i) => (
          <li key={first + i}>
            <button type="button" class="button quiet" aria-label={inWords(name, samples())} onClick={() => selectBack(first + i)}>
              <Symbol of={name} />
            </button>
          </li>
        ))}
        <li aria-current="true">
          <span class="hidden-text">{inWords(selection.value!, samples())}</span>
          {names.length > 0 && <Symbol of={selection.value!} />}
        </li>
      </ol>
      <button type="button" class="button quiet full" aria-pressed={fullPrecision.value} onClick={() => (fullPrecision.value = !fullPrecision.value)}>
        Full precision
      </button>
    </nav>
  );
}

const samples = () => rows.value?.inputs?.length ?? 1;

function Head({ of, explanation }: { of: string; explanation: Explanation | null }): VNode {
  const value = explanation ? explanation.value : shown(of);
  return (
    <header class="explain-head">
      <div class="explain-value">
        {explanation ? <Math source={explanation.symbol.mathml} label={explanation.symbol.text} /> : <Symbol of={of} label={inWords(of, samples())} />}
        <span aria-hidden="true">=</span>
        <Num of={of} value={value} class={fullPrecision.value ? "big long" : "big"} />
      </div>
      <p class="explain-name">
        <code>{breakable(of)}</code>
        {other.value && <small>in A; B has {written(valueOf(other.value.snapshot, of), fullPrecision.value)}</small>}
        <small>{explanation ? titleOf(explanation) : expired.value ? "as last shown" : inWords(of, samples())}</small>
      </p>
    </header>
  );
}

/** An explanation's title without the name, which stands above it. */
const titleOf = ({ of, title }: Explanation) => (of && title.startsWith(of) ? title.slice(of.length).replace(/^,? /, "") : title);

/** A name that may break into lines before its dots and brackets. */
const breakable = (name: string) => name.split(/(?=[.[])/).map((part, i) => (i ? [<wbr key={i} />, part] : part));

function Body({ of, explanation, update }: { of: string; explanation: Explanation; update: Explanation | null }): VNode {
  return (
    <>
      {shape.value && <Sentence explanation={explanation} network={shape.value} full={fullPrecision.value} />}
      <SetBy explanation={explanation} />
      <Before kind={explanation.kind} />
      <Formula explanation={explanation} title="Formula" />
      {explanation.chain && <Ledger key={of} of={of} chain={explanation.chain} value={explanation.value} />}
      {update && (
        <section class="to-come" aria-labelledby="to-come">
          <header>
            <h2 id="to-come">The update will make it</h2>
            <Num of={update.of ?? of} value={update.value} />
          </header>
          <Formula explanation={update} />
        </section>
      )}
    </>
  );
}

/** The change that a parameter's value comes from; the way back from a look at it. */
function SetBy({ explanation }: { explanation: Explanation }): VNode | null {
  const { set_by: by } = explanation;
  const there = looking.value?.by === "link";
  if (!by && !there) return null;
  const said = by?.operation === "create" ? "Set at the start" : `Set by revision ${by?.revision}: ${by?.operation}`;
  return (
    <p class="set-by">
      {by && (by.revision === snapshot.value?.revision ? <span>{said}</span> : (
        <button type="button" class="button quiet" onClick={() => void lookInto({ revision: by.revision })}>
          {said}
        </button>
      ))}
      {there && (
        <button type="button" class="button quiet" onClick={() => void lookHere()}>
          Back to revision {session.value?.revision}
        </button>
      )}
    </p>
  ); // prettier-ignore
}

/** What a pass computes, and an update does not. */
const OF_A_PASS = new Set<Explanation["kind"]>([
  "pre_activation", "activation", "output", "loss", "derivative",
  "activation_gradient", "pre_activation_gradient", "parameter_gradient", "gradient_norm",
]); // prettier-ignore

/** After an update, what the passes computed is still that of the weights before it. */
function Before({ kind }: Pick<Explanation, "kind">): VNode | null {
  const now = snapshot.value;
  if (!OF_A_PASS.has(kind) || now?.phase !== "ready" || now.steps === 0) return null;
  const last = history.value.findLast(({ revision, operation }) => revision <= now.revision && (operation === "step" || operation === "train"));
  return <p class="set-by">Computed with the weights before {last?.operation === "step" ? `the update of revision ${last.revision}` : "the last update"}.</p>;
}

/** What is said where there is no explanation. */
function Without({ found }: { found: Explained | null }): VNode | null {
  if (expired.value) {
    return (
      <>
        <p class="note">This explanation was not loaded before the session expired. Start again to explore it.</p>
        {trouble.value?.said && (
          <section>
            <h2>What the server said</h2>
            <pre class="said">{trouble.value.said}</pre>
          </section>
        )}
      </>
    );
  }
  if (training.value) return <p class="note">A training is under way. The explanation follows when it is done or paused.</p>;
  if (found?.status === "lost") return <p class="note">No answer from the server.</p>;
  if (found?.status === "none") {
    const { problem } = found;
    if (problem?.limit !== undefined) return <p class="note">So many numbers go into it that they are not listed: the server lists {count(problem.limit)} at most.</p>;
    if (problem && problem.status !== 409) return <p class="note">{problem.detail}</p>;
    if (/^(inputs|targets)\[/.test(found.of)) return <p class="note">It is given: a number of the session’s rows.</p>;
    const { verb, rest } = nextLabel.value;
    return (
      <p class="note">
        <span>
          Not computed yet. Press <b class="teal">N</b>. <span class="small">It runs {`${verb} ${rest}`.trim()}.</span>
        </span>
      </p>
    );
  }
  return <p class="small" role="status">Computing…</p>; // prettier-ignore
}
