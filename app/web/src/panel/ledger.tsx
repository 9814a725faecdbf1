/** The chain rule as a ledger: the factors of a path multiply, paths add up to a sample's share, samples to the gradient. */

import type { ComponentChildren, VNode } from "preact";
import { useSignal } from "@preact/signals";
import { Icon } from "../parts/icon";
import { Math, RightSide, Symbol } from "../parts/math";
import { Num } from "../parts/num";
import { count, plural, written } from "../numbers";
import { showSample } from "../state/actions";
import { lit, openPath, pointed } from "../state/explaining";
import { sample as onScreen, shape } from "../state/model";
import { fullPrecision } from "../state/settings";
import type { Explanation, Factor, Path } from "../types";
import { Counts } from "./counts";
import { startsAtLayer, titleOf } from "./paths";
import "./ledger.css";

type Chain = NonNullable<Explanation["chain"]>;

/** Paths that are drawn before somebody asks for more; the graph lights as many. */
const FEW_PATHS = 8;

export function Ledger({ of, chain, value }: { of: string; chain: Chain; value: number }): VNode | null {
  const all = useSignal(false);
  const [first, ...others] = chain.samples;
  if (!first) return null;
  const { paths } = first;
  const lone = paths.length === 1;
  const shownPaths = all.value ? paths : paths.slice(0, FEW_PATHS);
  const more = paths.length - shownPaths.length;
  const rest = chain.more_samples.count;
  const samples = chain.samples.length + rest;
  const atLayer = paths[0] && startsAtLayer(paths[0], shape.value?.layers.at(-1)?.name ?? "");
  return (
    <section class="ledger" aria-labelledby="chain-rule">
      <h2 id="chain-rule">
        Chain rule <small>{samples > 1 ? "factors multiply, paths and samples add" : lone ? "1 path; factors multiply" : "factors multiply, paths add"}</small>
      </h2>
      {atLayer && <p class="small">Too many paths lead on to the loss to list: the ledger starts at this layer.</p>}
      <table>
        <thead class="hidden-text">
          <tr>
            <th>Times</th>
            <th>Factor</th>
            <th>Formula</th>
            <th>Value</th>
          </tr>
        </thead>
        <tbody>
          {samples > 1 && (
            <Line name={<Sample at={first.sample} />} note="largest share" value={first.value} class="sample" />
          )}
          {shownPaths.map((path, i) => (
            <PathRows key={i} path={path} at={i} title={titleOf(path, paths)} lone={lone} />
          ))}
          {more > 0 && (
            <tr>
              <td />
              <td colSpan={2}>
                <button type="button" class="button quiet" onClick={() => (all.value = true)}>
                  {plural(more, "more path")}
                </button>
              </td>
              <td class="value">{written(sum(paths.slice(FEW_PATHS)), fullPrecision.value)}</td>
            </tr>
          )}
          {others.map(({ sample, value: share }) => (
            <Line key={sample} name={<Sample at={sample} />} value={share} class="rule" />
          ))}
          {rest > 0 && <Line name={plural(rest, "more sample")} value={chain.more_samples.value} class="rule" />}
          <tr class="total">
            <td>{lone && samples === 1 ? "=" : "+"}</td>
            <td colSpan={2}>
              <Symbol of={of} />
              <b>{samples > 1 ? `sum of ${count(samples)} samples` : lone ? "" : `sum of ${paths.length} paths`}</b>
            </td>
            <td class="value">{written(value, fullPrecision.value)}</td>
          </tr>
        </tbody>
      </table>
      <Counts formulas={paths.flatMap(({ factors }) => factors.map(({ formula }) => formula.mathml))} />
    </section>
  );
}

const sum = (paths: Path[]) => paths.reduce((total, { value }) => total + value, 0);

/** A sample of the batch; a press shows it in the graph, where it is not there already. */
function Sample({ at }: { at: number }): VNode {
  const name = `Sample ${count(at + 1)}`;
  if (at === onScreen.value) return <>{name}</>;
  return (
    <button type="button" class="button quiet sample-name" title="Show it in the graph" onClick={() => showSample(at)}>
      {name}
    </button>
  );
}

function Line({ name, note, value, class: extra }: { name: ComponentChildren; note?: string; value: number; class: string }): VNode {
  return (
    <tr class={extra}>
      <td />
      <td colSpan={2}>
        {name} {note && <small>{note}</small>}
      </td>
      <td class="value">{written(value, fullPrecision.value)}</td>
    </tr>
  );
}

function PathRows({ path, at, title, lone }: { path: Path; at: number; title: string; lone: boolean }): VNode {
  const open = lone || openPath.value === at;
  const factors = path.factors.map((factor, i) => <FactorRow key={i} factor={factor} times={i > 0} />);
  if (lone) return <>{factors}</>;
  return (
    <>
      <tr class={open ? "path open" : "path"}>
        <td>
          <Disc of={at + 1} />
        </td>
        <td colSpan={2}>
          <button type="button" class="path-title" aria-expanded={open} onClick={() => (openPath.value = open ? -1 : at)}>
            <span>{title}</span>
            {!open && <small>{plural(path.factors.length, "factor")}</small>}
            <Icon name="down" size={14} />
          </button>
        </td>
        <td class="value">{open ? "" : written(path.value, fullPrecision.value)}</td>
      </tr>
      {open && factors}
      {open && (
        <tr class="product">
          <td />
          <td colSpan={2}>path {at + 1}</td>
          <td class="value">{written(path.value, fullPrecision.value)}</td>
        </tr>
      )}
    </>
  );
}

function Disc({ of }: { of: number }): VNode {
  return <span class="disc">{of}</span>;
}

function FactorRow({ factor, times }: { factor: Factor; times: boolean }): VNode {
  const { of, symbol, formula, value } = factor;
  const point = () => (pointed.value = of || null);
  const leave = () => (pointed.value = null);
  const named = of !== null && of !== "";
  return (
    <tr
      class={named && pointed.value === of ? "factor pointed" : "factor"}
      onMouseEnter={point}
      onMouseLeave={leave}
      onFocusIn={point}
      onFocusOut={leave}
    >
      <td>{times && "×"}</td>
      <td>
        <Math source={symbol.mathml} label={symbol.text} block />
      </td>
      <td class="formula-cell">
        <RightSide source={formula.mathml} label={formula.text} />
      </td>
      <td class="value">{named ? <Num of={of} value={value} class={lit.value.selected === of ? "" : "plain"} /> : <Fixed value={value} />}</td>
    </tr>
  );
}

/** A factor that is no number of the network: the 1 that a bias counts with. */
function Fixed({ value }: { value: number }): ComponentChildren {
  return <span class="fixed">{written(value, fullPrecision.value)}</span>;
}
