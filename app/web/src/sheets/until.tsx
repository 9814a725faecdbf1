/** Run until something happens: any of some conditions, or so many epochs. */

import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { Button, Refusal } from "../parts/button";
import { Icon } from "../parts/icon";
import { Sheet } from "../parts/sheet";
import { NumberField, SchemaForm, Select } from "../start/schema-form";
import { problemOf } from "../start/schema";
import { catalog, shape, snapshot } from "../state/model";
import { missing } from "../state/next";
import { train, trainOptions } from "../state/training";
import { close } from "./close";
import { first, lacks, WORDS, type Condition } from "./conditions";

const WHOLE = { type: "integer", minimum: 1 };

// Kept while the page is open, as who runs until something happens mostly does so again.
const conditions = signal<Condition[]>([first("loss_below", "", 0)]);
const epochs = signal<unknown>(10_000);

export function UntilSheet(): VNode {
  const kinds = (catalog.value?.stop_conditions ?? []).filter(({ type }) => type !== "nonfinite");
  const kindOf = (condition: Condition) => kinds.find(({ type }) => type === condition.type);
  const fresh = (type: string) => first(type, `${shape.value?.layers[0]?.name}.weight`, snapshot.value?.epochs ?? 0);
  const put = (at: number, ...to: Condition[]) => (conditions.value = conditions.value.toSpliced(at, 1, ...to));
  const wrong =
    conditions.value.map((one) => lacks(one, kindOf(one))).find(Boolean) ??
    (epochs.value === undefined || problemOf(epochs.value, WHOLE) ? "The most epochs take a whole number, 1 or more." : null);
  const why = wrong ?? missing("train");
  const run = () => void train({ ...trainOptions.value, epochs: Number(epochs.value), stop: conditions.value });
  return (
    <Sheet title="Run until…" class="until-sheet" onClose={close}>
      <form
        class="sheet-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (!why) run();
        }}
      >
        <ol class="until-conditions">
          {conditions.value.map((condition, i) => (
            <li key={i}>
              <div class="until-row">
                <Select
                  label={i ? "or" : "Stop when"}
                  options={kinds.map(({ type }) => [type, WORDS[type] ?? type.replaceAll("_", " ")])}
                  value={condition.type}
                  onChange={(type) => put(i, fresh(type))}
                />
                {conditions.value.length > 1 && (
                  <Button class="quiet square" label="Remove this condition" onPress={() => put(i)}>
                    <Icon name="cross" />
                  </Button>
                )}
              </div>
              <SchemaForm
                key={condition.type}
                schema={kindOf(condition)?.options ?? {}}
                value={condition}
                onChange={(to) => put(i, { ...to, type: condition.type })}
                omit={["type"]}
              />
              <p class="small">{kindOf(condition)?.description.split("\n")[0]!.replaceAll("`", "")}</p>
            </li>
          ))}
        </ol>
        <p>
          <Button onPress={() => (conditions.value = [...conditions.value, fresh("plateau")])}>
            Add a condition
          </Button>
        </p>
        <NumberField label="At most so many epochs" schema={WHOLE} value={epochs.value} onChange={(to) => (epochs.value = to)} />
        <p class="small">It stops before the update that would spoil it, and always where a number would become NaN or infinite.</p>
        <Refusal of="until" />
        <div class="sheet-foot">
          <Button class="next" control="until" submit missing={why}>
            Run
          </Button>
        </div>
      </form>
    </Sheet>
  );
}
