/** Rows by pointing: choose a class, then click in the picture of the network's answers. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Button } from "../../parts/button";
import { Choice } from "../../parts/choice";
import { meaningOf, type Meaning } from "../../stage/answers";
import { onPlace, pointMode } from "../../stage/boundary";
import { shape, tab } from "../../state/model";
import { hasPicture } from "../../state/plane";
import type { Rows } from "../../types";
import { typedNumber } from "../typed";
import { free, locked, putRows } from "./editing";
import { isFlat, targetsOf } from "./table";

const DECIMALS = 4;

export function Points({ data }: { data: Rows }): VNode | null {
  const { inputs, layers } = shape.value!;
  const meaning = meaningOf(data, layers.at(-1)!.units);
  const value = useSignal("1");
  const flat = isFlat(data);
  const isPossible = inputs === 2 && (meaning.kind !== "value" || layers.at(-1)!.units === 1);
  useEffect(() => {
    if (!isPossible) return undefined;
    onPlace.value = (x, y) => void place([x, y], meaning, flat, typedNumber(value.value) ?? 0);
    return () => (onPlace.value = null);
  });
  useEffect(() => () => void (pointMode.value = null), []);
  if (!isPossible) return null;
  const missing = locked.value ?? (hasPicture.value ? null : "The picture to click in appears with the second row.");
  return (
    <div class="edit-form" role="group" aria-label="Draw points">
      <div class="edit-actions">
        <Button
          pressed={pointMode.value !== null}
          missing={missing}
          onPress={() => {
            pointMode.value = pointMode.value === null ? 0 : null;
            if (pointMode.value !== null && tab.value === "edit") tab.value = "network";
          }}
        >
          Draw points
        </Button>
        {meaning.kind === "value" ? (
          <label class="edit-value">
            with target
            <input class="cell" inputMode="decimal" value={value.value} onInput={(event) => (value.value = event.currentTarget.value)} />
          </label>
        ) : (
          <Choice
            label="Class of the points"
            options={meaning.names.map((text, i) => ({ value: String(i), text, missing }))}
            value={String(pointMode.value ?? "")}
            onChoose={(to) => (pointMode.value = Number(to))}
          />
        )}
      </div>
      <p class="edit-hint" role="status">
        {pointMode.value !== null ? "Click in the picture, or move the cross by the arrow keys and press Enter. Back takes a point away again." : locked.value ? "" : (missing ?? "")}
      </p>
    </div>
  );
}

/** Points that are placed quickly wait for one another. */
let last: Promise<unknown> = Promise.resolve();
function place(point: number[], meaning: Meaning, flat: boolean, value: number): Promise<unknown> {
  const inputs = point.map((one) => Number(one.toFixed(DECIMALS)));
  const targets = targetsOf(meaning, pointMode.value ?? 0, flat, value);
  last = last.then(free).then(() => putRows((before) => [...before, { inputs, targets }]));
  return last;
}
