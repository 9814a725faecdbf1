/**
 * A picture of a part of the page: its boxes, texts and lines read off the screen and drawn again as SVG.
 *
 * (A `foreignObject` would be shorter, but few programs other than browsers show it, and a canvas takes none.)
 */

import { toSvg, type Dash, type Drawn } from "./drawing";

const SVG = "http://www.w3.org/2000/svg";
const PRESENTED = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-opacity", "opacity",
  "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline", "paint-order", "overflow",
]; // prettier-ignore

/** What is there to be pressed, or says what to press, is no part of a picture. */
const LEFT_OUT = ".button, .next-box";

/** What a part of the page looks like now, as an SVG document. */
export function svgOf(root: Element): string {
  const frame = root.getBoundingClientRect();
  const drawn: Drawn[] = [];
  read(root, frame, 1, drawn);
  return toSvg(drawn, frame.width, frame.height, getComputedStyle(document.body).backgroundColor);
}

/** An SVG document as a PNG of twice its size. */
export async function pngOf(svg: string): Promise<Blob> {
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture")))));
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** `scale` is how much smaller its parent is shown than it was laid out. */
function read(element: Element, frame: DOMRect, scale: number, drawn: Drawn[]): void {
  if (element.matches(LEFT_OUT)) return;
  if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return;
  const box = element.getBoundingClientRect();
  if (box.bottom < frame.top || box.top > frame.bottom || box.right < frame.left || box.left > frame.right) return;
  if (element instanceof SVGSVGElement) {
    drawn.push({ kind: "part", markup: copied(element, box, frame) });
    return;
  }
  if (element instanceof HTMLCanvasElement) {
    drawn.push({ kind: "part", markup: image(element, box, frame) });
    return;
  }
  const style = getComputedStyle(element);
  if (style.clipPath !== "none" && box.width <= 1) return; // text for screen readers alone
  const own = style.transform === "none" ? scale : scale * new DOMMatrix(style.transform).a;
  boxes(box, style, frame, own, drawn);
  if (element.localName === "mfrac" && element.children.length === 2) bar(element, box, style, frame, drawn);
  for (const child of element.childNodes) {
    if (child instanceof Element) read(child, frame, own, drawn);
    else if (child instanceof window.Text) texts(child, style, frame, own, drawn);
  }
}

const isClear = (colour: string): boolean => colour === "transparent" || /^rgba\(.*, 0\)$/.test(colour);

const dashOf = (style: string): Dash => (style === "dashed" || style === "dotted" ? style : "solid");

function boxes(box: DOMRect, style: CSSStyleDeclaration, frame: DOMRect, scale: number, drawn: Drawn[]): void {
  const sides = (["Top", "Right", "Bottom", "Left"] as const).map((side) => ({
    width: style[`border${side}Style`] === "none" ? 0 : scale * parseFloat(style[`border${side}Width`]),
    colour: style[`border${side}Color`],
    dash: dashOf(style[`border${side}Style`]),
  }));
  const seen = sides.map(({ width, colour }) => width > 0 && !isClear(colour));
  const fill = isClear(style.backgroundColor) ? null : style.backgroundColor;
  const [x, y] = [box.left - frame.left, box.top - frame.top];
  const first = sides[0]!;
  const round = seen.every(Boolean) && sides.every(({ colour, width }) => colour === first.colour && width === first.width);
  if (fill || round) {
    drawn.push({
      kind: "box", x, y, width: box.width, height: box.height, radius: scale * parseFloat(style.borderTopLeftRadius) || 0, fill,
      stroke: round ? first.colour : null, strokeWidth: first.width, dash: first.dash,
    }); // prettier-ignore
  }
  const stripes = /^repeating-linear-gradient\(90deg, (rgba?\([^)]*\))/.exec(style.backgroundImage);
  if (stripes) {
    const middle = y + box.height / 2;
    drawn.push({ kind: "stroke", from: [x, middle], to: [x + box.width, middle], colour: stripes[1]!, width: box.height, dash: "striped" });
  }
  if (round) return;
  const corners: [number, number][] = [[x, y], [x + box.width, y], [x + box.width, y + box.height], [x, y + box.height]]; // prettier-ignore
  sides.forEach(({ width, colour, dash }, i) => {
    if (seen[i]) drawn.push({ kind: "stroke", from: corners[i]!, to: corners[(i + 1) % 4]!, colour, width, dash });
  });
}

/** The bar of a fraction, which belongs to no element. */
function bar(fraction: Element, box: DOMRect, style: CSSStyleDeclaration, frame: DOMRect, drawn: Drawn[]): void {
  const [above, below] = [...fraction.children].map((child) => child.getBoundingClientRect());
  const y = (above!.bottom + below!.top) / 2 - frame.top;
  const from: [number, number] = [box.left - frame.left, y];
  drawn.push({ kind: "stroke", from, to: [box.right - frame.left, y], colour: style.color, width: 1, dash: "solid" });
}

const measure = document.createElement("canvas").getContext("2d");

/** A text, a line at a time. */
function texts(node: Text, style: CSSStyleDeclaration, frame: DOMRect, scale: number, drawn: Drawn[]): void {
  // MathML writes a variable of one letter in italics, of which its style says nothing.
  const isVariable = node.parentElement?.localName === "mi" && node.length === 1 && !node.parentElement.hasAttribute("mathvariant");
  for (const { text, box } of lines(node)) {
    const size = scale * parseFloat(style.fontSize);
    let baseline = box.bottom - 0.2 * size;
    if (measure) {
      measure.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = measure.measureText(text);
      baseline = box.top + (box.height * ascent) / (ascent + descent);
    }
    drawn.push({
      kind: "text", text, x: box.left - frame.left, y: baseline - frame.top, width: box.width, size, weight: style.fontWeight,
      style: isVariable ? "italic" : style.fontStyle, family: style.fontFamily, colour: style.color,
    }); // prettier-ignore
  }
}

function lines(node: Text): { text: string; box: DOMRect }[] {
  const range = document.createRange();
  range.selectNodeContents(node);
  const whole = [...range.getClientRects()].filter(({ width }) => width > 0);
  if (!whole.length || !node.data.trim()) return [];
  if (whole.length === 1 && !/^\s|\s$/.test(node.data)) return [{ text: node.data.replace(/\s+/g, " "), box: whole[0]! }];
  return whole.map((box) => ({ text: within(node, range, box), box })).filter(({ text }) => text.trim());
}

/** The letters of a text that lie in a line, with the spaces at its ends that are seen. */
function within(node: Text, range: Range, line: DOMRect): string {
  let text = "";
  for (let i = 0; i < node.length; i++) {
    range.setStart(node, i);
    range.setEnd(node, i + 1);
    const { top, bottom, width } = range.getBoundingClientRect();
    const middle = (top + bottom) / 2;
    if (width > 0 && middle > line.top && middle < line.bottom) text += node.data[i];
  }
  return text;
}

function copied(element: SVGSVGElement, box: DOMRect, frame: DOMRect): string {
  const copy = element.cloneNode(true) as SVGSVGElement;
  const [from, to] = [[element, ...element.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
  from.forEach((one, i) => {
    const style = getComputedStyle(one);
    const target = to[i]!;
    if (style.display === "none") target.setAttribute("display", "none");
    for (const name of PRESENTED) target.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "style", "tabindex", "role"]) target.removeAttribute(name);
  });
  // Its lines are drawn in px as it was laid out, which it may be shown smaller than.
  if (!copy.hasAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${element.clientWidth} ${element.clientHeight}`);
  placed(copy, box, frame);
  return new XMLSerializer().serializeToString(copy);
}

function image(canvas: HTMLCanvasElement, box: DOMRect, frame: DOMRect): string {
  const made = document.createElementNS(SVG, "image");
  made.setAttribute("href", canvas.toDataURL());
  placed(made, box, frame);
  return new XMLSerializer().serializeToString(made);
}

function placed(element: SVGElement, box: DOMRect, frame: DOMRect): void {
  element.setAttribute("x", String(box.left - frame.left));
  element.setAttribute("y", String(box.top - frame.top));
  element.setAttribute("width", String(box.width));
  element.setAttribute("height", String(box.height));
}
