/** Layers as heat maps: a strip of them, and the chosen one's tensor with what there is to say of it. */

import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { shape, snapshot, training } from "../state/model";
import { Histograms } from "./maps-bars";
import { LayerStrip } from "./maps-strip";
import { Side } from "./maps-side";
import { TensorMap } from "./maps-tensor";
import { useWeights } from "./maps/layer";
import type { Grid } from "./maps/picture";
import { isWeights, nameOf, shownTensor } from "./maps/shown";
import { scaleOf } from "./maps/statistics";
import { useTensor, type Loaded } from "./maps/tensors";
import "./maps.css";

/** What is shown, as numbers and the end of their scale. */
export interface Shown {
  loaded: Loaded;
  grid: Grid | null;
  limit: number;
}

export function Maps(): VNode | null {
  const { layer, quantity } = shownTensor.value;
  const weights = useWeights(layer);
  const asWeights = layer !== null && isWeights(quantity);
  const other = useTensor(asWeights ? null : nameOf(shownTensor.value));
  const loaded = asWeights ? weights[quantity] : other;
  const { tensor } = loaded;
  const shown = useMemo<Shown>(() => {
    if (!tensor || tensor.shape.length !== 2) return { loaded, grid: null, limit: 0 };
    const [rows, columns] = tensor.shape as [number, number];
    return { loaded, grid: { rows, columns, values: tensor.values }, limit: scaleOf(tensor.values) };
  }, [tensor, loaded.status]);
  if (!shape.value || !snapshot.value) return null;
  const warnings = (snapshot.value.health?.warnings ?? []).filter((one) => one.layer === layer);
  return (
    <div class="maps">
      <LayerStrip />
      {training.value && <p class="maps-note">While it trains, these are the numbers from before.</p>}
      {warnings.map(({ kind, text }) => (
        <p key={kind} class="maps-note">
          <span aria-hidden="true">⚠</span> {text}
        </p>
      ))}
      <div class="maps-body">
        <TensorMap shown={shown} />
        <Side shown={shown} weights={weights} />
        {asWeights && <Histograms weights={weights} />}
      </div>
    </div>
  );
}
