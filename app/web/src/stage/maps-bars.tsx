/** How a layer's weights, their gradients and the update to come are spread. */

import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import { MINUS, percent, plain, plural } from "../numbers";
import { brief } from "./maps-scale";
import type { WeightTensors } from "./maps/layer";
import { facts, histogram, scaleOf, shares, type Facts } from "./maps/statistics";
import type { Tensor } from "./maps/npy";

const [WIDTH, HEIGHT] = [240, 56];

export function Histograms({ weights: { value, gradient, update } }: { weights: WeightTensors }): VNode {
  const moved = useMemo(
    () =>
      value.tensor && update.tensor ? { shape: value.tensor.shape, values: shares(update.tensor.values, value.tensor.values) } : null,
    [value.tensor, update.tensor],
  );
  const ratio = useMemo(
    () => (value.tensor && update.tensor ? facts(update.tensor.values).norm / facts(value.tensor.values).norm : null),
    [value.tensor, update.tensor],
  );
  return (
    <div class="maps-histograms">
      <Histogram title="Values" tensor={value.tensor} say={({ std }) => `σ ${digits(std)}`} />
      <Histogram title="Gradients" tensor={gradient.tensor} say={({ norm }) => `norm ${digits(norm)}`} />
      <Histogram
        title="Update ÷ value"
        tensor={moved}
        share={0.9}
        say={() => (ratio !== null && Number.isFinite(ratio) ? `${digits(ratio)}, typical is 0.001` : "")}
      />
    </div>
  );
}

const digits = (value: number): string => plain(Number(value.toPrecision(3)));

interface HistogramProps {
  title: string;
  tensor: Tensor | null;
  /** How many of the entries the axis has room for. */
  share?: number;
  say: (facts: Facts) => string;
}

function Histogram({ title, tensor, share, say }: HistogramProps): VNode {
  const found = useMemo(() => {
    if (!tensor) return null;
    const limit = scaleOf(tensor.values, share);
    const counts = histogram(tensor.values, limit, tensor.values.length < 100 ? 20 : 40);
    return { limit, counts, facts: facts(tensor.values), many: tensor.values.length };
  }, [tensor, share]);
  if (!found) {
    return (
      <figure class="maps-histogram">
        <figcaption>
          <strong>{title}</strong> <span class="small">not computed yet</span>
        </figcaption>
        <div class="maps-no-bars" />
      </figure>
    );
  }
  const { limit, counts, many } = found;
  const most = Math.max(...counts, 1);
  const wide = WIDTH / counts.length;
  const { zeros, nonfinite } = found.facts;
  const words = [
    say(found.facts),
    zeros ? `${percent(zeros / many)} zeros` : "",
    nonfinite ? plural(nonfinite, "number not finite", "numbers not finite") : "",
  ].filter(Boolean);
  return (
    <figure class="maps-histogram">
      <figcaption>
        <strong>{title}</strong> <span class="small">{words.join(", ")}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {counts.map((of, i) => {
          const high = of && Math.max(1, (HEIGHT * of) / most);
          const sign = i < counts.length / 2 ? "minus" : "plus";
          return <rect key={i} class={sign} x={i * wide} width={wide * 0.86} y={HEIGHT - high} height={high} />;
        })}
      </svg>
      <div class="maps-axis">
        <span>{limit ? MINUS + brief(limit) : ""}</span>
        <span>0</span>
        <span>{limit ? brief(limit) : ""}</span>
      </div>
    </figure>
  );
}
