/** The tensor that is shown, as a heat map with its scale. */

import type { VNode } from "preact";
import { Choice } from "../parts/choice";
import { useWidth } from "../parts/width";
import { inWords } from "../names";
import { count, plural, written } from "../numbers";
import { select } from "../state/explaining";
import { sampleCount, shape } from "../state/model";
import { HeatMap } from "./maps/heat-map";
import { sizeIn } from "./maps/picture";
import { cellName, choose, crosshair, cursor, hovered, isWeights, nameOf, shownTensor, type Quantity } from "./maps/shown";
import { asValue, MOST_ENTRIES, type Loaded } from "./maps/tensors";
import { ScaleBar } from "./maps-scale";
import type { Shown } from "./maps";

const WEIGHTS: { value: Quantity; text: string }[] = [
  { value: "value", text: "value" },
  { value: "gradient", text: "gradient" },
  { value: "update", text: "update" },
];
const BY_SAMPLE: { value: Quantity; text: string }[] = [
  { value: "z", text: "z" },
  { value: "a", text: "a" },
  { value: "dL_da", text: "∂L/∂a" },
  { value: "dL_dz", text: "∂L/∂z" },
];

export function TensorMap({ shown: { loaded, grid, limit } }: { shown: Shown }): VNode {
  const [frame, room] = useWidth<HTMLDivElement>();
  const shown = shownTensor.value;
  const name = nameOf(shown);
  const title = shown.quantity === "update" ? `update of ${shown.layer}.weight` : name;
  return (
    <section class="maps-tensor" aria-label={`Heat map of ${title}`}>
      <header class="maps-head">
        <h2>{title}</h2>
        {shown.layer !== null && (
          <div class="maps-choices">
            <Choice
              label="Tensors"
              options={[{ value: "weights", text: "weights" }, { value: "samples", text: "activations" }]}
              value={isWeights(shown.quantity) ? "weights" : "samples"}
              onChoose={(kind) => choose({ quantity: kind === "weights" ? "value" : "a" })}
            />
            <Choice
              label="Show"
              options={isWeights(shown.quantity) ? WEIGHTS : BY_SAMPLE}
              value={shown.quantity}
              onChoose={(quantity) => choose({ quantity })}
            />
          </div>
        )}
        <p class="small">{sizes()}</p>
      </header>
      <div ref={frame} class="maps-frame">
        {grid && room > 0 ? <Picture grid={grid} limit={limit} room={room} title={title} /> : <Missing loaded={loaded} />}
      </div>
      {grid && <ScaleBar limit={limit} />}
    </section>
  );
}

function Picture({ grid, limit, room, title }: { grid: NonNullable<Shown["grid"]>; limit: number; room: number; title: string }): VNode {
  const [width, height] = sizeIn(room, grid);
  const shown = shownTensor.value;
  const [row, column] = crosshair.value;
  const cell: [number, number] = [Math.min(row, grid.rows - 1), Math.min(column, grid.columns - 1)];
  const value = asValue(grid.values[cell[0] * grid.columns + cell[1]]);
  return (
    <HeatMap
      grid={grid}
      limit={limit}
      width={width}
      height={height}
      label={`${title}, ${count(grid.rows)} rows and ${count(grid.columns)} columns`}
      cell={cell}
      frameRow
      said={`${inWords(cellName(shown, cell), 2)}: ${shown.quantity === "update" ? "update " : ""}${written(value)}`}
      onHover={(at) => (hovered.value = at)}
      onMove={(at) => (cursor.value = at)}
      onPick={(at) => {
        cursor.value = at;
        select(cellName(shown, at));
      }}
    />
  );
}

/** What the rows and columns are. */
function sizes(): string {
  const { layer, quantity } = shownTensor.value;
  const found = shape.value?.layers.find(({ name }) => name === layer);
  if (!found) return `${plural(sampleCount.value, "sample")} × ${plural(shape.value?.inputs ?? 0, "input")}, each row one sample`;
  if (isWeights(quantity)) return `${plural(found.units, "unit")} × ${plural(found.inputs, "input")}, each row one unit`;
  return `${plural(sampleCount.value, "sample")} × ${plural(found.units, "unit")}, each row one sample`;
}

function Missing({ loaded: { status, detail, retry } }: { loaded: Loaded }): VNode {
  if (status === "loading") return <p class="maps-missing late">Reading…</p>;
  if (status === "failed") {
    return (
      <p class="maps-missing" role="alert">
        {detail}{" "}
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      </p>
    );
  }
  const why = status === "large" ? `More than ${count(MOST_ENTRIES)} numbers are not drawn. ` : null;
  return <p class="maps-missing">{why ?? absent()}</p>;
}

function absent(): string {
  const { layer, quantity } = shownTensor.value;
  const frozen = shape.value?.layers.find(({ name }) => name === layer)?.trainable === false;
  if (quantity === "update" && frozen) return "This layer is frozen: no update changes it.";
  if (quantity === "update") return "There is no update to come yet: it follows from the gradients. Press N.";
  return "Not computed yet. Press N.";
}
