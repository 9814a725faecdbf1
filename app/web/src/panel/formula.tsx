/** A formula in symbols, and below it the same with its numbers, each of which can be selected. */

import type { VNode } from "preact";
import { Math, RightSide, rightSide } from "../parts/math";
import { written } from "../numbers";
import { CopyButton } from "../share/copy-button";
import { lookInto } from "../state/actions";
import { select } from "../state/explaining";
import { fullPrecision } from "../state/settings";
import type { Explanation } from "../types";
import { Counts } from "./counts";
import { isShownRounded } from "./rounded";

type Term = Explanation["terms"][number];

/** In an optimizer's formulas m is another one. */
const OF_THE_LOSS = new Set(["loss", "activation_gradient", "pre_activation_gradient"]);

export function Formula({ explanation, title }: { explanation: Explanation; title?: string }): VNode | null {
  const { kind, formula, substituted, terms, value, symbol } = explanation;
  const sides = rightSide(substituted.mathml);
  if (!terms.length || !sides) return null; // a given number: its value says it all
  const byName = new Map(terms.filter(({ of }) => of !== null).map((term) => [term.of!, term]));
  const numberOf = (of: string) => byName.get(of)?.value;
  const inFigures = (of: string) => (byName.has(of) ? written(numberOf(of), fullPrecision.value) : undefined);
  const rounded = !fullPrecision.value && isShownRounded(sides.right, value, numberOf);
  return (
    <section class="formula" aria-label={title ?? "How the update makes it"}>
      {title && (
        <header>
          <h2>{title}</h2>
          <CopyButton class="quiet copy" text={() => formula.latex}>
            Copy LaTeX
          </CopyButton>
        </header>
      )}
      <div class="formula-lines">
        <Math source={symbol.mathml} label={symbol.text} block />
        <RightSide source={formula.mathml} label={formula.text} />
        <span class="formula-numbers">
          <RightSide
            source={substituted.mathml}
            label={substituted.text}
            selectable
            written={inFigures}
            onSelect={(of) => choose(of, byName.get(of))}
            marks={(of) => byName.get(of)?.revision === undefined}
          />
          {rounded && <small>shown rounded</small>}
        </span>
        {OF_THE_LOSS.has(kind) && <Counts formulas={[formula.mathml]} />}
      </div>
    </section>
  );
}

/** Select a term; one that had its value at another time is looked at there. */
function choose(of: string, term: Term | undefined): void {
  if (term?.revision === undefined) select(of);
  else void lookInto({ revision: term.revision, epoch: term.epoch }).then((there) => there && select(of));
}
