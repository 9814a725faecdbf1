/** How Train trains: epochs, batches, reports. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { Button, Refusal } from "../parts/button";
import { Sheet } from "../parts/sheet";
import { count } from "../numbers";
import { NumberField } from "../start/schema-form";
import { problemOf } from "../start/schema";
import { rows } from "../state/model";
import { missing } from "../state/next";
import { train, trainOptions } from "../state/training";
import { close } from "./close";

const WHOLE = { type: "integer", minimum: 1 };

export function TrainSheet(): VNode {
  const options = useSignal<Record<string, unknown>>({ ...trainOptions.value });
  const now = options.value;
  const set = (key: string) => (to: unknown) => {
    const { [key]: _, ...rest } = options.value;
    options.value = to === undefined || to === false ? rest : { ...rest, [key]: to };
  };
  const all = rows.value?.inputs?.length;
  const wrong =
    now.epochs === undefined ? "Fill in how many epochs."
    : ["epochs", "batch_size", "report_every"].some((key) => problemOf(now[key], WHOLE)) ? "Each takes a whole number, 1 or more." : null; // prettier-ignore
  const press = () => {
    trainOptions.value = now as unknown as typeof trainOptions.value;
    void train();
  };
  return (
    <Sheet title="Train" onClose={close}>
      <form
        class="sheet-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!wrong && !missing("train")) press();
        }}
      >
        <NumberField label="Epochs" schema={WHOLE} value={now.epochs} onChange={set("epochs")} />
        <NumberField
          label={`Batch size (empty: all rows${all ? `, ${count(all)}` : ""})`}
          schema={WHOLE}
          value={now.batch_size}
          onChange={set("batch_size")}
        />
        <label class="sheet-check">
          <input type="checkbox" checked={Boolean(now.shuffle)} onChange={(event) => set("shuffle")(event.currentTarget.checked)} />
          Shuffle the rows before each epoch
        </label>
        <NumberField
          label="Report every so many epochs (empty: as often as can be drawn)"
          schema={WHOLE}
          value={now.report_every}
          onChange={set("report_every")}
        />
        <Refusal of="train" />
        <div class="sheet-foot">
          <Button class="next" control="train" submit missing={wrong ?? missing("train")}>
            Train {typeof now.epochs === "number" ? count(now.epochs) : ""} {now.epochs === 1 ? "epoch" : "epochs"}
          </Button>
        </div>
      </form>
    </Sheet>
  );
}
