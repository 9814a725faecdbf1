/** A picture of numbers with a crosshair: moved by the mouse or the arrow keys; a press or Enter explains. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { Canvas, px } from "./canvas";
import { cellAt, moved, type Grid } from "./picture";

export type Cell = [number, number];

export interface HeatMapProps {
  grid: Grid;
  limit: number;
  width: number;
  height: number;
  label: string;
  /** Where the crosshair stands. */
  cell: Cell;
  /** Whether its whole row is framed, too. */
  frameRow?: boolean;
  /** The number under the crosshair, in words. */
  said: string;
  onHover: (cell: Cell | null) => void;
  onMove: (cell: Cell) => void;
  onPick: (cell: Cell) => void;
}

/** Cells of less than so many pixels would not be found by their frame alone. */
const FILLED = 10;

export function HeatMap({ grid, limit, width, height, label, cell, frameRow, said, onHover, onMove, onPick }: HeatMapProps): VNode {
  const [heard, setHeard] = useState(false);
  const { rows, columns } = grid;
  const under = (event: MouseEvent): Cell => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return cellAt(grid, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const to = moved(cell, event.key, grid);
    if (to) {
      setHeard(true);
      onMove(to);
    } else if (event.key === "Enter" || event.key === " ") onPick(cell);
    else return;
    event.preventDefault();
  };
  const row = Math.min(cell[0], rows - 1);
  const [tall, wide] = [height / rows, width / columns];
  // Frames are drawn large enough to be seen, and kept inside.
  const frame = (at: number, size: number, least: number, end: number) => {
    const length = Math.max(size, least);
    return [Math.max(0, Math.min(end - length, at * size + (size - length) / 2)), length] as const;
  };
  const [top, high] = frame(row, tall, 10, height);
  const [left, broad] = frame(Math.min(cell[1], columns - 1), wide, 10, width);
  const [rowTop, rowHigh] = frame(row, tall, 6, height);
  return (
    <div
      class="heat-map"
      role="application"
      aria-roledescription="heat map"
      aria-label={`${label}. Arrow keys move, Enter explains.`}
      tabIndex={0}
      style={{ width: px(width), height: px(height) }}
      onMouseMove={(event) => onHover(under(event))}
      onMouseLeave={() => onHover(null)}
      onClick={(event) => onPick(under(event))}
      onKeyDown={press}
      onBlur={() => setHeard(false)}
    >
      <Canvas grid={grid} limit={limit} width={width} height={height} markOdd />
      {frameRow && <span class="heat-row" style={{ top: px(rowTop), height: px(rowHigh) }} />}
      <span
        class={Math.min(wide, tall) < FILLED ? "heat-cell filled" : "heat-cell"}
        style={{ top: px(top), left: px(left), height: px(high), width: px(broad) }}
      />
      <span class="hidden-text" aria-live="polite">
        {heard ? said : ""}
      </span>
    </div>
  );
}
