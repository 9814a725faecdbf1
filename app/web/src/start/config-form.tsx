/** A config as a form: layers, loss, optimizer, data and the rest, from the catalogue's schemas. */

import type { ComponentChildren, VNode } from "preact";
import type { Signal } from "@preact/signals";
import { Icon } from "../parts/icon";
import { typeOf } from "../state/shape";
import { catalog } from "../state/model";
import type { Catalog, Config, LayerConfig, Spec } from "../types";
import { isInline, takesClasses, withInputs, withLayer, withNewLayer, withoutLayer } from "./config";
import { RowsField } from "./rows-field";
import { errorAt, type FieldError } from "./schema";
import { Check, KindForm, NumberField, Select, TextField } from "./schema-form";

type Errors = readonly FieldError[];

export function ConfigForm({ config: signal, errors }: { config: Signal<Config>; errors: Errors }): VNode | null {
  const kinds = catalog.value;
  const config = signal.value;
  if (!kinds) return null;
  const set = (to: Partial<Config>) => (signal.value = { ...config, ...to });
  const ofAll = errorAt(errors, "/network/layers", false) ?? errorAt(errors, "/network", false);
  return (
    <form class="config-form" onSubmit={(event) => event.preventDefault()}>
      <Part title="Network">
        <NumberField
          label="inputs"
          schema={{ type: "integer", minimum: 1 }}
          value={config.network.inputs}
          onChange={(to) => (signal.value = withInputs(config, to as number))}
          error={errorAt(errors, "/network/inputs")}
        />
        {config.network.layers.map((layer, i) => (
          <LayerForm
            key={i}
            layer={layer}
            number={i + 1}
            kinds={kinds}
            errors={errors}
            onChange={(to) => (signal.value = withLayer(config, i, to))}
            onRemove={config.network.layers.length > 1 ? () => (signal.value = withoutLayer(config, i)) : null}
          />
        ))}
        {ofAll && <small class="field-error">{ofAll}</small>}
        <button type="button" class="button add" onClick={() => (signal.value = withNewLayer(config))}>
          Add a layer
        </button>
      </Part>
      <Part title="Loss">
        <KindForm label="kind" kinds={kinds.losses} value={config.loss} onChange={(to) => set({ loss: to! })} errors={errors} pointer="/loss" />
      </Part>
      <Part title="Optimizer">
        <KindForm
          label="kind"
          kinds={kinds.optimizers}
          value={config.optimizer}
          onChange={(to) => set({ optimizer: to! })}
          errors={errors}
          pointer="/optimizer"
        />
      </Part>
      <DataPart config={config} kinds={kinds} errors={errors} onChange={(to) => (signal.value = to)} />
      <Part title="Session">
        <div class="schema-form">
          <TextField label="name" value={config.name} onChange={(to) => set({ name: (to as string | undefined) ?? null })} error={errorAt(errors, "/name")} />
          <NumberField
            label="seed"
            schema={{ type: "integer", minimum: 0, default: 0 }}
            value={config.seed}
            onChange={(to) => set({ seed: (to as number | undefined) ?? 0 })}
            error={errorAt(errors, "/seed")}
          />
          <Select
            label="dtype"
            options={["float64", "float32"]}
            value={config.dtype ?? "float64"}
            onChange={(to) => set({ dtype: to as "float64" })}
            error={errorAt(errors, "/dtype")}
          />
        </div>
      </Part>
    </form>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }): VNode {
  return (
    <fieldset class="part">
      <legend>{title}</legend>
      {children}
    </fieldset>
  );
}

interface LayerProps {
  layer: LayerConfig;
  number: number;
  kinds: Catalog;
  errors: Errors;
  onChange: (layer: LayerConfig) => void;
  /** Null where it is the only one. */
  onRemove: (() => void) | null;
}

function LayerForm({ layer, number, kinds, errors, onChange, onRemove }: LayerProps): VNode {
  const pointer = `/network/layers/${number - 1}`;
  const set = (to: Partial<LayerConfig>) => onChange({ ...layer, ...to });
  const setInit = (to: Record<string, unknown>) => set({ init: { ...layer.init, ...to } });
  const name = layer.name ?? `layer${number}`;
  return (
    <fieldset class="layer">
      <legend>Layer {number}</legend>
      {onRemove && (
        <button type="button" class="button quiet square remove" aria-label={`Remove layer ${name}`} onClick={onRemove}>
          <Icon name="cross" />
        </button>
      )}
      <div class="schema-row">
        <TextField label="name" value={name} onChange={(to) => set({ name: (to as string | undefined) ?? "" })} error={NAME.test(name) ? errorAt(errors, `${pointer}/name`) : TAKES_A_NAME} />
        <NumberField
          label="units"
          schema={{ type: "integer", minimum: 1 }}
          value={layer.units}
          onChange={(to) => set({ units: to as number })}
          error={errorAt(errors, `${pointer}/units`)}
        />
        <Select
          label="bias"
          options={["per_unit", "shared", "none"]}
          value={layer.bias ?? "per_unit"}
          onChange={(to) => set({ bias: to as "none" })}
          error={errorAt(errors, `${pointer}/bias`)}
        />
      </div>
      <KindForm
        label="activation"
        kinds={kinds.activations}
        value={layer.activation ?? "identity"}
        onChange={(to) => set({ activation: to! })}
        errors={errors}
        pointer={`${pointer}/activation`}
      />
      <details open={errorAt(errors, `${pointer}/init`) !== null}>
        <summary>How it starts</summary>
        <InitForm label="weights" kinds={kinds} value={layer.init?.weight} onChange={(weight) => setInit({ weight })} errors={errors} pointer={`${pointer}/init/weight`} />
        {layer.bias !== "none" && (
          <InitForm label="bias starts as" kinds={kinds} value={layer.init?.bias} onChange={(bias) => setInit({ bias })} errors={errors} pointer={`${pointer}/init/bias`} />
        )}
        <Check label="trainable" value={layer.trainable ?? true} onChange={(trainable) => set({ trainable })} />
      </details>
    </fieldset>
  ); // prettier-ignore
}

/** What a name may be, as the API says it with a regular expression. */
const NAME = /^[A-Za-z_][\w-]{0,63}$/;
const TAKES_A_NAME = "takes letters, digits, - and _, and begins with a letter";

const GIVEN = "given_numbers";

/** An initialiser; numbers that are given one by one are kept, and changed as JSON. */
function InitForm({ label, kinds, value, onChange, errors, pointer }: {
  label: string;
  kinds: Catalog;
  value: unknown;
  onChange: (value: unknown) => void;
  errors: Errors;
  pointer: string;
}): VNode {
  const given = Array.isArray(value);
  const all = given ? [...kinds.initializers, { type: GIVEN, description: "Numbers given one by one: change them as JSON." }] : kinds.initializers;
  const shown = given ? GIVEN : typeof value === "number" ? { type: "constant", val: value } : ((value as Spec | undefined) ?? "default");
  const choose = (to: Spec | null) => to !== null && typeOf(to) !== GIVEN && onChange(to);
  return <KindForm label={label} kinds={all} value={shown} onChange={choose} errors={errors} pointer={pointer} />;
}

function DataPart({ config, kinds, errors, onChange }: {
  config: Config;
  kinds: Catalog;
  errors: Errors;
  onChange: (config: Config) => void;
}): VNode {
  const { data } = config;
  const choose = (to: Spec | null) => {
    if (to === null || typeOf(to) === typeOf(data)) return onChange({ ...config, data: to });
    const kind = kinds.data.find((one) => one.type === typeOf(to));
    const size = kind?.input_shape?.reduce((product, one) => product * one, 1);
    const units = config.network.layers.at(-1)!.units;
    const zeros = (length: number) => Array.from({ length }, () => 0);
    const row = { inputs: [zeros(config.network.inputs)], targets: takesClasses(config.loss) ? [0] : [zeros(units)] };
    if (typeOf(to) === "inline") return onChange({ ...config, data: { ...(to as object), ...row } });
    return onChange({ ...(size ? withInputs(config, size) : config), data: to });
  };
  return (
    <Part title="Data">
      <KindForm
        label="kind"
        kinds={kinds.data}
        none="none: give inputs to each forward"
        value={data ?? null}
        onChange={choose}
        errors={errors}
        pointer="/data"
        omit={["inputs", "targets", "test"]}
      />
      {isInline(data) && (
        <RowsField
          data={data}
          inputs={config.network.inputs}
          classes={takesClasses(config.loss)}
          onChange={(to) => onChange({ ...config, data: { ...data, ...to } })}
          error={errorAt(errors, "/data/inputs") ?? errorAt(errors, "/data/targets")}
        />
      )}
    </Part>
  );
}
