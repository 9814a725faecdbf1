/** Beside the heat map: the row under the crosshair as a picture, the number there, and the largest ones. */

import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { Num } from "../parts/num";
import { Symbol } from "../parts/math";
import { inWords } from "../names";
import { count, written } from "../numbers";
import { select } from "../state/explaining";
import { shape } from "../state/model";
import { fullPrecision } from "../state/settings";
import { HeatMap } from "./maps/heat-map";
import type { WeightTensors } from "./maps/layer";
import { squareSide } from "./maps/picture";
import { cellName, crosshair, cursor, hovered, isWeights, shownTensor } from "./maps/shown";
import { largest } from "./maps/statistics";
import { asValue, valueAt } from "./maps/tensors";
import type { Shown } from "./maps";

const PICTURE = 196;
const LISTED = 4;

export interface SideProps {
  shown: Shown;
  weights: WeightTensors;
}

export function Side({ shown, weights }: SideProps): VNode | null {
  const { grid } = shown;
  if (!grid) return null;
  return (
    <aside class="maps-side" aria-label="The number under the crosshair, and the largest">
      <Pointed shown={shown} weights={weights} />
      <Largest shown={shown} weights={weights} />
    </aside>
  );
}

function Pointed({ shown: { grid, limit }, weights }: SideProps): VNode {
  const { rows, columns, values } = grid!;
  const shown = shownTensor.value;
  const row = Math.min(crosshair.value[0], rows - 1);
  const column = Math.min(crosshair.value[1], columns - 1);
  const name = cellName(shown, [row, column]);
  const ofInputs = shown.layer === null || (isWeights(shown.quantity) && shown.layer === shape.value?.layers[0]?.name);
  const side = ofInputs ? squareSide(columns) : null;
  const picture = useMemo(
    () => side && { rows: side, columns: side, values: Array.from({ length: columns }, (_, i) => values[row * columns + i]!) },
    [values, row, columns, side],
  );
  const what = shown.layer !== null && isWeights(shown.quantity) ? "Unit" : "Sample";
  const inRow = ([y, x]: [number, number]): [number, number] => [row, y * side! + x];
  return (
    <div class="maps-pointed">
      <h2>
        {what} {row + 1} {side && <span class="small">as a picture, {side} × {side}</span>}
      </h2>
      {picture && (
        <HeatMap
          grid={picture}
          limit={limit}
          width={PICTURE}
          height={PICTURE}
          label={`${what} ${row + 1} as a picture`}
          cell={[Math.floor(column / side!), column % side!]}
          said={`${inWords(name, 2)}: ${written(asValue(values[row * columns + column]))}`}
          onHover={(at) => (hovered.value = at && inRow(at))}
          onMove={(at) => (cursor.value = inRow(at))}
          onPick={(at) => {
            cursor.value = inRow(at);
            select(cellName(shown, inRow(at)));
          }}
        />
      )}
      <p class="small">
        {side
          ? `row ${Math.floor(column / side) + 1}, column ${(column % side) + 1} = input ${count(column + 1)}`
          : `${ofInputs || isWeights(shown.quantity) ? "input" : "unit"} ${count(column + 1)} of ${count(columns)}`}
      </p>
      <p class="maps-number">
        <Entry name={name} at={[row, column]} value={values[row * columns + column]!} weights={weights} />
      </p>
    </div>
  );
}

interface EntryProps {
  name: string;
  at: [number, number];
  value: number;
  weights: WeightTensors;
}

/** A number of the tensor. Of an update it is the weight to come that has a name, and can be explained. */
function Entry({ name, at, value, weights }: EntryProps): VNode {
  if (shownTensor.value.quantity !== "update") {
    return (
      <>
        <Symbol of={name} /> = <Num of={name} value={asValue(value)} />
      </>
    );
  }
  return (
    <>
      <Symbol of={name.replace(".next", "")} /> {written(asValue(value), fullPrecision.value)} →{" "}
      <Num of={name} value={valueAt(weights.next.tensor, ...at)} />
    </>
  );
}

function Largest({ shown: { grid, limit }, weights }: SideProps): VNode | null {
  const { columns, values } = grid!;
  const shown = shownTensor.value;
  const places = useMemo(() => largest(values, LISTED), [values]);
  if (!places.length) return null;
  const most = Math.max(limit, Math.abs(values[places[0]!]!));
  const update = shown.quantity === "update";
  const rowIs = shown.layer !== null && isWeights(shown.quantity) ? "unit" : "sample";
  const columnIs = rowIs === "unit" || shown.layer === null ? "input" : "unit";
  return (
    <table class="maps-largest">
      <caption>{update ? "Largest updates" : "Largest"}</caption>
      <thead>
        <tr>
          <th scope="col">{rowIs}, {columnIs}</th>
          <th scope="col" class="maps-value">{update ? "to come" : "value"}</th>
          <th scope="col">{update ? "update" : "size"}</th>
        </tr>
      </thead>
      <tbody>
        {places.map((place) => {
          const at: [number, number] = [Math.floor(place / columns), place % columns];
          const value = values[place]!;
          return (
            <tr key={place}>
              <th scope="row">{at[0] + 1}, {at[1] + 1}</th>
              <td class="maps-value">
                <Num of={cellName(shown, at)} value={update ? valueAt(weights.next.tensor, ...at) : asValue(value)} />
              </td>
              <td><Bar share={value / most} said={written(value)} /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** A bar from the middle: to the right for +, striped and to the left for −. */
function Bar({ share, said }: { share: number; said: string }): VNode {
  const width = `${50 * Math.abs(share)}%`;
  return (
    <span class="maps-bar" role="img" aria-label={said}>
      <span class={share < 0 ? "minus" : "plus"} style={share < 0 ? { right: "50%", width } : { left: "50%", width }} />
    </span>
  );
}
