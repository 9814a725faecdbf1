/** The parameters as tables, a row for each unit. */

import type { VNode } from "preact";
import { entry, inWords } from "../../names";
import { count } from "../../numbers";
import { Button, Refusal } from "../../parts/button";
import { Symbol } from "../../parts/math";
import { editParameters, ensure } from "../../state/actions";
import { fitsGraph, session, shape, shown } from "../../state/model";
import type { LayerShape } from "../../state/shape";
import { attempt } from "../../state/troubles";
import { Cell } from "./cell";

/** Beyond so many parameters, tables are closed until they are asked for. */
const OPEN_UP_TO = 60;

export function Parameters(): VNode {
  const { layers, parameters } = shape.value!;
  const isDrawn = session.value !== null || layers.every(({ name }) => typeof shown(`${name}.weight[0][0]`) === "number");
  return (
    <section aria-label="Parameters">
      <h2>Parameters</h2>
      {!fitsGraph.value ? (
        <p class="edit-hint">{count(parameters)} are too many for a table. Select one in Heat maps or Numbers to change it above.</p>
      ) : !isDrawn ? (
        <>
          <p class="edit-hint">They are drawn at random when the session is made.</p>
          <Button control="edit-draw" onPress={() => void attempt("edit-draw", ensure)}>
            Draw them
          </Button>
          <Refusal of="edit-draw" />
        </>
      ) : (
        layers.map((layer, i) => <LayerTable key={layer.name} layer={layer} previous={layers[i - 1]} open={parameters <= OPEN_UP_TO} />)
      )}
      <Refusal of="edit-parameters" />
    </section>
  );
}

function LayerTable({ layer, previous, open }: { layer: LayerShape; previous: LayerShape | undefined; open: boolean }): VNode {
  const { name, units, inputs, bias, trainable } = layer;
  const range = (many: number) => Array.from({ length: many }, (_, i) => i);
  return (
    <details class="edit-layer" open={open}>
      <summary>
        {name}
        <small>
          {units} × {inputs}
          {bias === "none" ? ", no bias" : ""}
        </small>
        {!trainable && <span class="badge">frozen: updates leave it as it is</span>}
      </summary>
      <div class="edit-scroll">
        <table class="edit-table">
          <thead>
            <tr>
              <td />
              {range(inputs).map((i) => (
                <th key={i} scope="col">
                  <Symbol
                    of={previous ? `${previous.name}.a[0][${i}]` : `inputs[0][${i}]`}
                    label={`from ${previous?.name ?? "input"} ${i + 1}`}
                  />
                </th>
              ))}
              {bias !== "none" && <th scope="col">bias</th>}
            </tr>
          </thead>
          <tbody>
            {range(units).map((j) => (
              <tr key={j}>
                <th scope="row">unit {j + 1}</th>
                {range(inputs).map((i) => (
                  <Parameter key={i} name={entry(`${name}.weight`, j, i)} />
                ))}
                {bias === "per_unit" && <Parameter name={entry(`${name}.bias`, j)} />}
                {bias === "shared" && j === 0 && <Parameter name={entry(`${name}.bias`, 0)} span={units} />}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function Parameter({ name, span }: { name: string; span?: number }): VNode {
  const value = shown(name);
  return (
    <td rowSpan={span}>
      <Cell
        label={inWords(name)}
        value={typeof value === "number" ? value : null}
        onApply={(to) => editParameters({ [name]: to }, "edit-parameters")}
      />
    </td>
  );
}
