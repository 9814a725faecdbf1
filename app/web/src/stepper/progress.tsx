/** In the rail's place while a training is under way: how far it is, and what would stop it. */

import type { VNode } from "preact";
import { count } from "../numbers";
import { training } from "../state/model";

export function Progress(): VNode | null {
  const now = training.value;
  if (!now) return null;
  const done = now.epoch - now.from;
  return (
    <div class="rail rail-progress">
      <p class="progress-says">
        <b>Epoch {count(now.epoch)}</b>
        <span>of {count(now.from + now.epochsTotal)}</span>
        <span class="progress-stop">{now.stop ? `stops on ${now.stop}, or on NaN` : "stops on NaN"}</span>
      </p>
      <div
        class="progress-bar"
        role="progressbar"
        aria-label="Training"
        aria-valuemin={0}
        aria-valuemax={now.epochsTotal}
        aria-valuenow={done}
        aria-valuetext={`Epoch ${now.epoch} of ${now.from + now.epochsTotal}`}
      >
        <div style={{ width: `${(100 * done) / now.epochsTotal}%` }} />
      </div>
    </div>
  );
}
