/** A grid of numbers as a picture, drawn anew when its numbers, its size or the theme change. */

import type { VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { colour, diverging, themeChanges } from "../../parts/colours";
import { pixels, type Grid } from "./picture";

export interface CanvasProps {
  grid: Grid;
  limit: number;
  width: number;
  height: number;
  /** Whether what is no number is red; it is a gap otherwise. */
  markOdd?: boolean;
}

export function Canvas({ grid, limit, width, height, markOdd = false }: CanvasProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = themeChanges.value;
  useLayoutEffect(() => {
    const density = devicePixelRatio || 1;
    const [across, down] = [Math.max(1, Math.round(width * density)), Math.max(1, Math.round(height * density))];
    const element = canvas.current!;
    if (element.width !== across) element.width = across;
    if (element.height !== down) element.height = down;
    const paint = { colours: scaleColours(theme), limit, ...(markOdd && { odd: odd() }) };
    element.getContext("2d")?.putImageData(new ImageData(pixels(grid, across, down, paint), across, down), 0, 0);
  }, [grid, limit, width, height, markOdd, theme]);
  return <canvas ref={canvas} class="heat" style={{ width: px(width), height: px(height) }} aria-hidden="true" />;
}

let made: { theme: number; colours: Uint8ClampedArray } | null = null;
function scaleColours(theme: number): Uint8ClampedArray {
  if (made?.theme !== theme) made = { theme, colours: diverging() };
  return made.colours;
}

function odd(): [number, number, number] {
  const [r = 0, g = 0, b = 0] = [...colour("--bad").matchAll(/[\d.]+/g)].map(Number);
  return [r, g, b];
}

/** A length for a style. */
export const px = (length: number): string => `${length}px`;
