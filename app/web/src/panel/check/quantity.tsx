/** The quantity of a row, for every unit j: ∂L/∂z¹ⱼ, w¹ⱼ₂. */

import type { VNode } from "preact";
import { parse } from "../../names";
import { shape } from "../../state/model";
import type { Row } from "./blanks";

const LETTERS: Record<string, string> = { weight: "w", bias: "b", dL_da: "a", dL_dz: "z" };

export function Quantity({ row }: { row: Row }): VNode {
  const { layer, quantity, of } = parse(row.tensor);
  const place = shape.value!.layers.findIndex(({ name }) => name === layer);
  const isLone = row.single !== undefined || (shape.value!.layers[place]?.units === 1 && row.input === undefined);
  const unit = row.entries.length === 1 ? <mn>1</mn> : <mi>j</mi>;
  const input = row.input === undefined ? null : <mn>{row.input > 8 ? `,${row.input + 1}` : row.input + 1}</mn>;
  const sub = <mrow>{unit}{input}</mrow>; // prettier-ignore
  const letter = <mi>{LETTERS[quantity] ?? quantity}</mi>;
  const sup = <mn>{place + 1}</mn>;
  const own = quantity === "loss" ? <mi>L</mi> : isLone ? <msup>{letter}{sup}</msup> : <msubsup>{letter}{sub}{sup}</msubsup>; // prettier-ignore
  const isGradient = quantity.startsWith("dL_") || of === "gradient";
  return (
    <math aria-hidden="true" displaystyle>
      {isGradient ? (
        <mfrac>
          <mrow>
            <mo>∂</mo>
            <mi>L</mi>
          </mrow>
          <mrow>
            <mo>∂</mo>
            {own}
          </mrow>
        </mfrac>
      ) : (
        own
      )}
    </math>
  );
}
