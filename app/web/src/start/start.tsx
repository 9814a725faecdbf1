/** A network of one's own: its config as a form or as JSON, tried on the server while it is written. */

import type { VNode } from "preact";
import { useSignal, type Signal } from "@preact/signals";
import { Button, Refusal } from "../parts/button";
import { Choice } from "../parts/choice";
import { Sheet } from "../parts/sheet";
import { startFrom } from "../state/actions";
import { close } from "../sheets/close";
import { catalog, config as current, tab } from "../state/model";
import { count, plain, plural } from "../numbers";
import type { Config, Preset } from "../types";
import { ConfigForm } from "./config-form";
import { ConfigJson } from "./config-json";
import { Select } from "./schema-form";
import { useTried, type Tried } from "./tried";
import "./start.css";

export function Start(): VNode {
  const from = current.value;
  return (
    <Sheet title="A network of your own" class="start" onClose={close}>
      {from && catalog.value ? <Writing from={from} /> : <p role="status">Loading…</p>}
    </Sheet>
  );
}

function Writing({ from }: { from: Config }): VNode {
  const config = useSignal(from);
  const mode = useSignal<"form" | "json">("form");
  /** Why the JSON on the screen is not the config; null where it is. */
  const fault = useSignal<string | null>(null);
  const tried = useTried(config);
  const create = async () => {
    if (!(await startFrom(config.value))) return;
    close();
    tab.value = "network";
  };
  return (
    <>
      <div class="start-top">
        <Choice
          label="Write it as"
          options={[
            { value: "form", text: "Form", missing: fault.value ?? (isWhole(config.value) ? null : "The form needs a network with layers, a loss and an optimizer.") },
            { value: "json", text: "JSON" },
          ]}
          value={mode.value}
          onChoose={(to) => (mode.value = to)}
        />
        <Presets config={config} />
      </div>
      {mode.value === "form" && <ConfigForm config={config} errors={errorsOf(tried.value)} />}
      {mode.value === "json" && <ConfigJson config={config} fault={fault} errors={errorsOf(tried.value)} />}
      <footer class="start-foot">
        <Verdict tried={tried.value} fault={fault.value} listed={mode.value === "json"} />
        <Refusal of="start" />
        <Button control="start" class="next" missing={missing(tried.value, fault.value)} onPress={() => void create()}>
          Create
        </Button>
      </footer>
    </>
  ); // prettier-ignore
}

const errorsOf = (tried: Tried) => (tried.status === "refused" ? tried.errors : []);

function missing(tried: Tried, fault: string | null): string | null {
  return fault ?? (tried.status === "refused" ? "Mend what is marked first." : null);
}

/** Whether a config has what the form is about; JSON can be anything. */
function isWhole(config: Config): boolean {
  const layers: unknown = (config as Partial<Config>)?.network?.layers;
  const specs = [config?.loss, config?.optimizer].every((one) => typeof one === "string" || (typeof one === "object" && one !== null));
  return Array.isArray(layers) && layers.length > 0 && layers.every((one) => typeof one === "object" && one !== null) && specs;
}

function Presets({ config }: { config: Signal<Config> }): VNode {
  const presets = (catalog.value?.presets ?? []) as unknown as Preset[];
  const choose = (name: string) => {
    const found = presets.find((one) => one.name === name)?.config ?? current.value;
    if (found) config.value = found;
  };
  const at = presets.find((one) => one.config === config.value)?.name ?? "";
  return <Select label="Begin with" options={[["", "this network"], ...presets.map(({ name }) => [name, name] as [string, string])]} value={at} onChange={choose} />; // prettier-ignore
}

/** What the server says of the config: what it would cost, or what is wrong. */
function Verdict({ tried, fault, listed }: { tried: Tried; fault: string | null; listed: boolean }): VNode {
  if (fault) return <p role="status">Not JSON yet.</p>;
  if (tried.status === "checking") return <p role="status">Checking…</p>;
  if (tried.status === "lost") return <p role="status">No answer from the server.</p>;
  if (tried.status === "refused") {
    return (
      <div role="status" class="verdict">
        <b>{tried.errors.length ? `${plural(tried.errors.length, "thing")} to mend` : tried.detail}</b>
        {!listed && tried.errors.map(({ pointer, detail }) => <p key={`${pointer}${detail}`}><code>{pointer}</code> {detail}</p>)}
      </div>
    ); // prettier-ignore
  }
  const { parameter_count: parameters, estimate } = tried.answer;
  const milliseconds = (estimate.forward + estimate.backward + estimate.step) / 1e6;
  return (
    <p role="status">
      <b>{plural(parameters, "parameter")}</b>
      <span class="small"> · about {bytes(estimate.bytes)} and {milliseconds < 0.1 ? "less than 0.1" : plain(Number(milliseconds.toPrecision(2)))} ms a step</span>
    </p>
  ); // prettier-ignore
}

function bytes(size: number): string {
  if (size < 1e6) return `${count(Math.ceil(size / 1e3))} kB`;
  return size < 1e9 ? `${plain(Number((size / 1e6).toPrecision(2)))} MB` : `${plain(Number((size / 1e9).toPrecision(2)))} GB`;
}
