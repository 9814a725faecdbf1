/** What is on the screen as a list of shapes, and these as an SVG that stands alone. */

/** How a line is broken, as CSS calls it. */
export type Dash = "solid" | "dashed" | "dotted" | "striped";
const DASHES: Record<Dash, string | null> = { solid: null, dashed: "4 3", dotted: "1 2", striped: "5 2" };

export interface Box {
  kind: "box";
  x: number;
  y: number;
  width: number;
  height: number;
  radius: number;
  fill: string | null;
  stroke: string | null;
  strokeWidth: number;
  dash: Dash;
}
export interface Stroke {
  kind: "stroke";
  from: [number, number];
  to: [number, number];
  colour: string;
  width: number;
  dash: Dash;
}
export interface Text {
  kind: "text";
  text: string;
  x: number;
  /** The baseline. */
  y: number;
  width: number;
  size: number;
  weight: string;
  style: string;
  family: string;
  colour: string;
}
/** An SVG or a canvas as it is, at a place. */
export interface Part {
  kind: "part";
  markup: string;
}
export type Drawn = Box | Stroke | Text | Part;

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one]!);
const short = (value: number): string => String(Math.round(value * 100) / 100);

function attributes(given: Record<string, string | number | null>): string {
  return Object.entries(given)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => ` ${name}="${typeof value === "number" ? short(value) : escape(value!)}"`)
    .join("");
}

function element(one: Drawn): string {
  switch (one.kind) {
    case "box": {
      // CSS draws a border inside of its box, SVG half of it outside.
      const inset = one.stroke ? one.strokeWidth / 2 : 0;
      return `<rect${attributes({
        x: one.x + inset, y: one.y + inset, width: Math.max(0, one.width - 2 * inset), height: Math.max(0, one.height - 2 * inset),
        rx: one.radius || null, fill: one.fill ?? "none", stroke: one.stroke, "stroke-width": one.stroke ? one.strokeWidth : null,
        "stroke-dasharray": one.stroke ? DASHES[one.dash] : null,
      })}/>`; // prettier-ignore
    }
    case "stroke":
      return `<path${attributes({
        d: `M${one.from.map(short).join(" ")}L${one.to.map(short).join(" ")}`, stroke: one.colour, "stroke-width": one.width,
        "stroke-dasharray": DASHES[one.dash],
      })}/>`; // prettier-ignore
    case "text":
      // The viewer may have other fonts: the text keeps its width.
      return `<text${attributes({
        x: one.x, y: one.y, fill: one.colour, "font-size": one.size, "font-weight": one.weight, "font-style": one.style === "normal" ? null : one.style,
        "font-family": one.family, textLength: one.width, lengthAdjust: "spacingAndGlyphs",
        "xml:space": /^\s|\s$/.test(one.text) ? "preserve" : null,
      })}>${escape(one.text)}</text>`; // prettier-ignore
    case "part":
      return one.markup;
  }
}

/** An SVG document of these shapes, on a ground of this colour. */
export function toSvg(drawn: readonly Drawn[], width: number, height: number, ground: string): string {
  const size = attributes({ width, height, viewBox: `0 0 ${short(width)} ${short(height)}` });
  const body = drawn.map(element).join("\n");
  return `<svg xmlns="http://www.w3.org/2000/svg"${size}>\n<rect width="100%" height="100%"${attributes({ fill: ground })}/>\n${body}\n</svg>\n`;
}
