/** Live curves: loss, accuracy, gradient norm; and what a practitioner would be worried about. */

import "./watch.css";
import { computed, signal } from "@preact/signals";
import type { VNode } from "preact";
import { valueOf } from "../names";
import { percent, plural, written } from "../numbers";
import type { Range } from "../parts/axes";
import { Button, Refusal } from "../parts/button";
import { Chart, type Line } from "../parts/chart";
import { Choice } from "../parts/choice";
import { Icon } from "../parts/icon";
import { CURVES, fetchFile } from "../share/files";
import { ended } from "../stage/narration";
import { curves, snapshot, stopped, training } from "../state/model";
import { train, trainOptions } from "../state/training";
import { attempt } from "../state/troubles";
import type { Curves } from "../types";

const scale = signal<"log" | "linear">("log");
const zoom = signal<Range | null>(null);
const GROUP = "watch";
const LABEL_ROOM = 44;

/** Whether a column has values that are not all alike. */
const varies = (values: readonly (number | null)[] | undefined): boolean => values?.some((value) => value !== values[0]) ?? false;

/** The lines of a quantity on the rows and on the test rows, those that there are. */
export function bothLines(train: Line["values"] | undefined, test: Line["values"] | undefined): Line[] {
  return [
    ...(train ? [{ label: "train", values: train }] : []),
    ...(test ? [{ label: "test", values: test, dashed: true }] : []),
  ];
}

const losses = computed(() => bothLines(curves.value?.loss, curves.value?.test_loss));
const accuracies = computed(() => bothLines(curves.value?.accuracy, curves.value?.test_accuracy));
const norms = computed(() => bothLines(curves.value?.gradient_norm, undefined));
const rates = computed(() => (varies(curves.value?.learning_rate) ? bothLines(curves.value?.learning_rate, undefined) : []));

export function Watch(): VNode {
  const now = curves.value;
  return (
    <div class="watch">
      <Ended />
      {now && now.epoch.length > 0 ? <Charts now={now} /> : <Empty />}
      <Warnings />
    </div>
  );
}

function Empty(): VNode {
  const { epochs } = trainOptions.value;
  return (
    <div class="watch-empty">
      <p>{training.value ? "The first epoch is under way." : "Train to see curves here."}</p>
      {!training.value && (
        <Button hotkey="T" control="train" onPress={() => void train()}>
          Train {plural(epochs, "epoch")}
        </Button>
      )}
    </div>
  );
}

function Charts({ now }: { now: Curves }): VNode {
  const { epoch } = now;
  const under = training.value;
  const end = under ? under.from + under.epochsTotal : null;
  const log = scale.value === "log";
  const common = { x: epoch, end, group: GROUP, zoom, right: now.test_loss ? LABEL_ROOM : 12 };
  return (
    <>
      <div class="watch-tools">
        <Choice label="Scale of the loss" options={SCALES} value={scale.value} onChoose={(chosen) => (scale.value = chosen)} />
        {zoom.value ? (
          <Button class="quiet" onPress={() => (zoom.value = null)}>
            Reset zoom
          </Button>
        ) : (
          <Button
            class="quiet"
            missing={epoch.at(-1)! < 4 ? "There are too few epochs to zoom." : null}
            onPress={() => (zoom.value = [epoch.at(-1)! / 2, epoch.at(-1)!])}
          >
            Zoom in
          </Button>
        )}
        <Button class="quiet" control="curves" label="Download the curves as CSV" onPress={() => void attempt("curves", () => fetchFile(CURVES))}>
          <Icon name="download" /> CSV
        </Button>
      </div>
      <Refusal of="curves" />
      <Chart {...common} title="Loss" lines={losses.value} write={loss} log={log} height={180} />
      {accuracies.value.length > 0 && (
        <Chart {...common} title={accuracyTitle(now)} lines={accuracies.value} limits={[0, 1]} write={share} tick={wholePercent} height={110} />
      )}
      {norms.value.length > 0 && <Chart {...common} title="Gradient norm" lines={norms.value} log={log} height={110} />}
      {rates.value.length > 0 && <Chart {...common} title="Learning rate" lines={rates.value} height={100} />}
    </>
  );
}

const SCALES = [
  { value: "log", text: "log" },
  { value: "linear", text: "linear" },
] as const;
/** A loss; curves have none where it was no finite number, and the snapshot knows which one it is now. */
function loss(value: number | null | undefined, index?: number): string {
  if (value !== null) return written(value);
  const now = curves.value!;
  const isNow = index === now.epoch.length - 1 && now.epoch.at(-1) === snapshot.value?.epochs && !now.test_loss;
  const odd = isNow ? valueOf(snapshot.value!, "loss") : null;
  return typeof odd === "string" ? written(odd) : "not finite";
}
const share = (value: number | null | undefined): string => (value == null ? "–" : percent(value));
const wholePercent = (value: number): string => `${Math.round(100 * value)}%`;
const accuracyTitle = ({ accuracy, test_accuracy }: Curves): string => (!accuracy && test_accuracy ? "Test accuracy" : "Accuracy");

/** What ended the last training, if not that all of its epochs were done. */
function Ended(): VNode | null {
  if (!stopped.value || stopped.value.reason === "epochs" || training.value) return null;
  return <p>{ended(stopped.value)}</p>;
}

function Warnings(): VNode | null {
  const warnings = snapshot.value?.health?.warnings ?? [];
  if (!warnings.length || training.value) return null;
  return (
    <ul class="watch-warnings" aria-label="Warnings">
      {warnings.map(({ layer, kind, text }) => {
        const cut = text.indexOf(":") < 0 ? text.indexOf(".") : text.indexOf(":");
        return (
          <li key={`${layer} ${kind}`} class="note">
            <Icon name="warning" size={20} />
            <span>
              <strong>{text.slice(0, cut + 1)}</strong>
              {text.slice(cut + 1)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
