/** Units and connections: cards or tiles over lines, as large as the room allows. */

import type { VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { called } from "../state/shape";
import { count, plural } from "../numbers";
import { asked, expired, justDone, looking, next, panel, rows, sampleCount, selection, shape, snapshot, tab, training } from "../state/model";
import { Icon } from "../parts/icon";
import type { Warned } from "../types";
import { scaleOf, towards, type Box } from "./geometry";
import { at, BiasChip, InputPill, LossCard, UnitCard, WeightChip } from "./graph-cards";
import { drawn, LEAST, room, type Drawn } from "./graph-model";
import { Lines } from "./graph-lines";
import { BiasDot, Tile } from "./graph-tiles";
import "./graph.css";

export function Graph(): VNode {
  const viewport = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = viewport.current!;
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = element;
      if (width !== room.peek()?.width || height !== room.peek()?.height) room.value = { width, height };
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => keepOneTabStop(viewport.current!));
  const weights = drawn.value?.drawing.cards === false ? "; each weight is in the view Numbers" : "";
  return (
    <div class="graph" ref={viewport} role="group" aria-label={`Graph: arrows move among numbers, Enter explains, Shift and Enter edits${weights}`} onKeyDown={onKey} onFocusIn={onFocus}>
      {drawn.value && snapshot.value && <Drawing {...drawn.value} />}
    </div>
  ); // prettier-ignore
}

function Drawing({ drawing: { cards, biases }, placed: to }: Drawn): VNode {
  const { layers, loss } = shape.value!;
  const scale = scaleOf(to, room.value!, cards ? LEAST.cards : LEAST.tiles);
  const many = rows.value?.inputs?.length ?? snapshot.value!.inputs?.length ?? 0;
  return (
    <div class="graph-sized" style={{ width: `${to.width * scale}px`, height: `${to.height * scale}px` }}>
      <div
        class={`drawn${cards ? "" : " tiles"}${to.downwards ? " downwards" : ""}`}
        style={{ width: `${to.width}px`, height: `${to.height}px`, transform: scale < 1 ? `scale(${scale})` : undefined }}
      >
        <Lines placed={to} cards={cards} />
        <NextBox frames={to.frames} downwards={to.downwards} />
        <div role="group" aria-label="Input">
          <Head box={to.heads[0]!} name="Input" detail={cards ? plural(many, "sample") : String(to.inputs.length)} />
          {to.inputs.map((box, input) =>
            cards ? <InputPill key={input} input={input} box={box} /> : <Tile key={input} layer={-1} unit={input} box={box} downwards={to.downwards} />,
          )}
        </div>
        {layers.map(({ name, units, activation }, layer) => (
          <div key={name} role="group" aria-label={`${name}, layer ${layer + 1}, ${plural(units, "unit")}, ${called(activation)}`}>
            <Head
              box={to.heads[layer + 1]!}
              name={name}
              detail={cards && !to.downwards ? `layer ${layer + 1} · ${plural(units, "unit")}, ${called(activation)}` : `${units} ${called(activation)}`}
            />
            {to.units[layer]!.map((box, unit) =>
              cards ? <UnitCard key={unit} layer={layer} unit={unit} box={box} /> : <Tile key={unit} layer={layer} unit={unit} box={box} downwards={false} />,
            )}
            {to.weights[layer]!.map((unit, j) =>
              unit.map((box, i) => <WeightChip key={`${j} ${i}`} layer={layer} unit={j} input={i} box={box} />),
            )}
            {biases[layer] !== "none" &&
              to.biases[layer]!.map((box, unit) => (cards ? <BiasChip key={unit} layer={layer} unit={unit} box={box} /> : <BiasDot key={unit} layer={layer} unit={unit} box={box} />))}
          </div>
        ))}
        <Head box={to.heads.at(-1)!} name="Loss" detail={sampleCount.value > 1 ? `mean of ${count(sampleCount.value)}` : called(loss)} />
        <LossCard box={to.loss} downwards={to.downwards} cards={cards} />
      </div>
    </div>
  ); // prettier-ignore
}

function Head({ box, name, detail }: { box: Box; name: string; detail: string }): VNode | null {
  if (!box.w) return null;
  const fresh = justDone.value !== null && justDone.value.operation !== "step" && justDone.value.layer === name;
  const warnings = snapshot.value!.health?.warnings.filter(({ layer }) => layer === name) ?? [];
  return (
    <div class="head" style={at(box)}>
      <span class="head-names">
        <strong>{name}</strong>
        {fresh && <span class="fresh">just computed</span>}
        <span class="detail">{detail}</span>
      </span>
      {warnings.map((warning) => (
        <button key={warning.kind} type="button" class="warned" title={warning.text} onClick={() => (panel.value = tab.value = "watch")}>
          <Icon name="warning" size={14} /> {inShort(warning, name)}
        </button>
      ))}
    </div>
  );
}

/** A warning in a word or two: `3 saturated`. */
function inShort({ kind }: Warned, name: string): string {
  const health = snapshot.value!.health?.layers.find((one) => one.name === name);
  if (kind === "dead_units") return `${health?.dead_units} dead`;
  if (kind === "saturated_units") return `${health?.saturated_units} saturated`;
  return kind.replaceAll("_", " ");
}

/** The teal box around what comes next. */
function NextBox({ frames, downwards }: { frames: Box[]; downwards: boolean }): VNode | null {
  const step = next.value;
  if (!step?.layer || training.value || looking.value || expired.value || asked.value.size) return null;
  const frame = frames[shape.value!.layers.findIndex(({ name }) => name === step.layer)];
  if (!frame) return null;
  const forward = step.operation === "forward";
  const arrow = downwards ? (forward ? "▾" : "▴") : forward ? "▸" : "◂";
  return (
    <div class="next-box" style={at(frame)}>
      <span>
        next {arrow} {step.operation}
      </span>
    </div>
  );
}

const numbersIn = (graph: HTMLElement): HTMLElement[] => [...graph.querySelectorAll<HTMLElement>("[data-of]")];

/** Of all numbers, one is in the order of focus: the one that was focused last, or the first. */
function keepOneTabStop(graph: HTMLElement): void {
  const numbers = numbersIn(graph);
  if (numbers.length && !numbers.some(({ tabIndex }) => tabIndex === 0)) numbers[0]!.tabIndex = 0;
}

function onFocus(event: FocusEvent): void {
  const focused = (event.target as HTMLElement).closest<HTMLElement>("[data-of]");
  if (!focused) return;
  for (const one of numbersIn(event.currentTarget as HTMLElement)) if (one.tabIndex === 0) one.tabIndex = -1;
  focused.tabIndex = 0;
}

function onKey(event: KeyboardEvent): void {
  const from = (event.target as HTMLElement).closest<HTMLElement>("[data-of]");
  if (!from || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Enter" && event.shiftKey) {
    event.preventDefault();
    selection.value = from.dataset.of!;
    panel.value = "edit";
    tab.value = "edit";
    requestAnimationFrame(() => document.getElementById("edit-selected")?.focus());
    return;
  }
  if (!event.key.startsWith("Arrow")) return;
  event.preventDefault();
  const others = numbersIn(event.currentTarget as HTMLElement).filter((one) => one !== from);
  const centre = (one: HTMLElement) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    return { x: x + width / 2, y: y + height / 2 };
  };
  others[towards(centre(from), others.map(centre), event.key)]?.focus();
}
