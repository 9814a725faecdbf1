/** One training step as stations, each of which runs the network up to it. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { Icon } from "../parts/icon";
import { useWidth } from "../parts/width";
import { pressStation } from "../state/actions";
import { expired, looking } from "../state/model";
import { checking, missing, stations, type Station } from "../state/next";
import { phone } from "../state/width";
import { fitted } from "./fit";

const PARTS = [
  { operation: "forward", title: "Forward →" },
  { operation: "backward", title: "← Backward" },
  { operation: "step", title: "Update" },
] as const;
const SAYS = { forward: "Forward through", backward: "Backward through", step: "Update" };
const STATUS = { done: ", done", last: ", done last", next: ", next", todo: "" };

export function Rail(): VNode {
  const unfolded = useSignal(false);
  const [place, width] = useWidth<HTMLElement>();

  const why = missing("forward");
  const all = PARTS.map(({ operation }) => stations.value.filter((one) => one.operation === operation));
  const { parts, look } = unfolded.value ? { parts: all, look: "names" } : fitted(all, width, phone.value);
  return (
    <nav ref={place} class={`rail ${look}`} aria-label="One training step">
      {PARTS.map(({ operation, title }, part) => (
        <div key={operation} class="rail-part">
          <span class="rail-title">{title}</span>
          <ol class="rail-stations">
            {parts[part]!.map((one, i) => (
              <li key={typeof one === "number" ? `fold ${i}` : one.layer}>
                {typeof one === "number" ? <Fold many={one} onPress={() => (unfolded.value = true)} /> : <Stop station={one} why={why} />}
              </li>
            ))}
          </ol>
        </div>
      ))}
    </nav>
  );
}

function Fold({ many, onPress }: { many: number; onPress: () => void }): VNode {
  return (
    <button type="button" class="station fold" aria-label={`Show ${many} more layers`} onClick={onPress}>
      <span class="station-dot">+{many}</span>
    </button>
  );
}

function Stop({ station, why }: { station: Station; why: string | null }): VNode {
  const { operation, layer, label } = station;
  const status = station.status === "next" && expired.value ? "todo" : station.status;
  const says = `${SAYS[operation]} ${layer ?? "parameters"}${STATUS[status]}`;
  // It is the next thing to press only where Next would do the same.
  const teal = status === "next" && !checking.value && looking.value?.by !== "link";
  return (
    <button
      type="button"
      class={`station ${status}${teal ? " teal" : ""}`}
      aria-label={says}
      aria-current={status === "next" ? "step" : undefined}
      aria-disabled={why ? "true" : undefined}
      title={why ?? says}
      onClick={() => pressStation(station)}
    >
      <span class="station-dot">{(status === "done" || status === "last") && <Icon name="check" size={12} />}</span>
      <span class="station-label">{label}</span>
      <span class="station-short" aria-hidden="true">
        {operation === "forward" ? `${layer} →` : operation === "backward" ? `← ${layer}` : "update"}
      </span>
    </button>
  );
}
