/** A layer's weights, their gradient, and the update to come. */

import { useMemo } from "preact/hooks";
import { shape } from "../../state/model";
import { difference } from "./statistics";
import { useTensor, type Loaded } from "./tensors";

export interface WeightTensors {
  value: Loaded;
  gradient: Loaded;
  next: Loaded;
  /** What the next update adds. */
  update: Loaded;
}

export function useWeights(layer: string | null): WeightTensors {
  const trainable = shape.value?.layers.find(({ name }) => name === layer)?.trainable ?? false;
  const value = useTensor(layer && `${layer}.weight`);
  const gradient = useTensor(layer && `${layer}.weight.gradient`);
  const next = useTensor(layer && trainable ? `${layer}.weight.next` : null);
  const [before, after] = [value.tensor, next.tensor];
  const added = useMemo(
    () =>
      before && after && before.values.length === after.values.length
        ? { shape: after.shape, values: difference(after.values, before.values) }
        : null,
    [before, after],
  );
  return { value, gradient, next, update: { ...next, tensor: added } };
}
