/** The graph's lines: width for size, blue or orange dashes for sign, a yellow stroke under what is lit. */

import type { VNode } from "preact";
import { select } from "../state/explaining";
import { justDone, shape, snapshot } from "../state/model";
import type { Line, Placed } from "./geometry";
import { glow, largest, lineKey, nameOfLine, showsGradients, valueOfLine, widthOf } from "./graph-model";

const DENSE = 150;

export function Lines({ placed, cards }: { placed: Placed; cards: boolean }): VNode {
  const { lines, numbered, open } = glow.value;
  const now = snapshot.value!;
  const gradients = showsGradients.value;
  const most = largest.value;
  const dense = placed.lines.length > DENSE;
  return (
    <svg class="lines" width={placed.width} height={placed.height} aria-hidden="true">
      {placed.lines.map((line) => lines.has(lineKey(line)) && <path key={lineKey(line)} class="glow" d={line.path} />)}
      {placed.lines.map((line) => {
        const value = valueOfLine(now, line, gradients);
        const sign = line.kind === "loss" ? "plain" : value === null ? "uncomputed" : value < 0 ? "negative" : "positive";
        const faint = line.kind === "loss" && now.loss === null;
        const width = widthOf(value ?? 0, most, dense);
        return <path key={lineKey(line)} class={`line ${sign}${faint ? " uncomputed" : ""}`} d={line.path} stroke-width={width.toFixed(2)} />;
      })}
      <Sweep placed={placed} />
      {!cards &&
        placed.lines.map(
          (line) =>
            line.kind === "weight" && (
              <path key={lineKey(line)} class="hit" d={line.path} onClick={() => select(nameOfLine(line, gradients && valueOfLine(now, line, true) !== null))}>
                <title>{`${shape.value!.layers[line.layer]!.name} weight ${line.unit + 1}, ${line.input + 1}`}</title>
              </path>
            ),
        )}
      {numbered && discsOf(placed.lines).map(({ path, x, y }) => (
        <g key={`${path} ${x} ${y}`} class={path === open ? "number open" : "number"} transform={`translate(${x} ${y})`}>
          <circle r="9" />
          <text y="4">{path + 1}</text>
        </g>
      ))}
    </svg>
  ); // prettier-ignore
}

/** A disc for each line that one path has to itself, at the end where it is alone. */
function discsOf(all: Line[]): { path: number; x: number; y: number }[] {
  const own = all.filter((line) => glow.value.lines.get(lineKey(line))?.length === 1 && line.kind !== "loss");
  return own.map((line) => {
    const beside = own.filter(({ kind, layer }) => kind === line.kind && layer === line.layer);
    const fans = beside.every(({ input }) => input === line.input);
    const { x, y } = line.marks[fans ? 1 : 0];
    return { path: glow.value.lines.get(lineKey(line))![0]!, x, y };
  });
}

/** The pass seen moving, once, along the lines of the layer that was just computed. */
function Sweep({ placed }: { placed: Placed }): VNode | null {
  const done = justDone.value;
  if (!done || done.operation === "step") return null;
  const layers = shape.value!.layers;
  const at = layers.findIndex(({ name }) => name === done.layer);
  const along = placed.lines.filter(({ layer }) => layer === at || (at === layers.length - 1 && layer === layers.length));
  return (
    <g key={snapshot.value!.revision} class={`sweep ${done.operation}`}>
      {along.map((line) => (
        <path key={lineKey(line)} d={line.path} pathLength={1} />
      ))}
    </g>
  );
}
