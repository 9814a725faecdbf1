/** The slip that explains the first wrong value, in words and as it was worked. */

import type { VNode } from "preact";
import { Math as Formula, Symbol } from "../../parts/math";
import { CAUSE } from "./blank";
import type { Cause as Found } from "./grading";
import { pieces } from "./prose";

export function Cause({ cause }: { cause: Found }): VNode {
  const { slip, items, explanation } = cause;
  return (
    <div class="cause" id={CAUSE}>
      <h3>Likely cause: {slip.replaceAll("_", " ")}</h3>
      <p>
        {pieces(explanation.text).map((piece, i) => (i % 2 ? <Named key={i} name={piece} /> : piece))}.
        {items.length > 1 && ` ${items.length === 2 ? "Both" : `All ${items.length}`} of your values fit this slip.`}
      </p>
      {explanation.mathml && (
        <p class="cause-formula">
          <span>As you worked it:</span>
          <Formula source={explanation.mathml} label={explanation.text} />
        </p>
      )}
    </div>
  );
}

function Named({ name }: { name: string }): VNode {
  return (
    <>
      {name.endsWith(".next") && "the new "}
      <Symbol of={name} label={name} />
    </>
  );
}
