/** Mathematics: the API's MathML as nodes, in which every number can be selected; and the page's own symbols. */

import { cloneElement, createElement, type VNode } from "preact";
import { lit, pointed, select } from "../state/explaining";
import { shape } from "../state/model";
import { inWords, parse } from "../names";
import { withMinus } from "../numbers";

const ALLOWED = new Set(
  ["math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub", "msubsup", "munder", "mover", "munderover",
    "mtable", "mtr", "mtd", "mpadded", "mstyle"]); // prettier-ignore

/** Says that a number was chosen, at a click or Enter. */
const choosing = (of: string, onSelect: (of: string) => void) => ({
  role: "button",
  tabindex: 0, // in small letters: attributes of MathML are not HTML's
  onClick: () => onSelect(of),
  onKeyDown: (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    onSelect(of);
  },
});

const parsed = new Map<string, Element>();
function rootOf(source: string): Element {
  let root = parsed.get(source);
  if (!root) {
    root = new DOMParser().parseFromString(source, "text/xml").documentElement;
    if (parsed.size > 500) parsed.clear();
    parsed.set(source, root);
  }
  return root;
}

type Attributes = Record<string, unknown>;

/** What is done with the numbers of a formula. */
export interface Numbers {
  /** Whether they can be selected. */
  selectable?: boolean;
  /** How one is written; as the API wrote it where undefined. */
  written?: (of: string) => string | undefined;
  onSelect?: (of: string) => void;
  /** Whether one is shown as the number that is selected, if it is. */
  marks?: (of: string) => boolean;
}

const KEPT = ["stretchy", "fence", "lspace", "rspace", "form", "mathvariant", "columnalign", "displaystyle"];

/** The name of the number that an element is: also where it is written with a power of ten, 2.9 × 10⁻⁶. */
export function numberIn(element: Element): string | null {
  const [mantissa, times, power, ...more] = element.children;
  const ten = power?.localName === "msup" ? power.children[0]! : undefined;
  const isPower = times?.textContent === "×" && ten?.textContent === "10" && !ten.hasAttribute("data-of") && !more.length;
  return element.localName === "mrow" && isPower ? mantissa!.getAttribute("data-of") : element.getAttribute("data-of");
}

function toNode(element: Element, numbers: Numbers, infix = false): VNode<any> {
  const of = numberIn(element);
  if (of !== null) return toNumber(element, of, numbers);
  const inner = inParentheses(element);
  if (inner) return toNode(inner, numbers);
  const alone = withoutIndex(element);
  if (alone) return toNode(alone, numbers);
  const indices = element.localName === "mi" && /^[ijks]{2,}$/.test(element.textContent) ? [...element.textContent] : null;
  if (indices) return createElement("mrow", {}, indices.map((of) => <mi>{of}</mi>)); // as one word they would be upright
  const name = ALLOWED.has(element.localName) ? element.localName : "mrow";
  const props: Attributes = infix ? { form: "infix" } : {};
  for (const attribute of KEPT) {
    const value = element.getAttribute(attribute);
    if (value !== null) props[attribute] = value;
  }
  const children = element.children.length
    ? [...element.children].map((child) => toNode(child, numbers))
    : tidied(element.textContent ?? "", name);
  return createElement(name, props, children);
}

function toNumber(element: Element, of: string, { selectable = false, written, onSelect = select, marks }: Numbers): VNode<any> {
  const text = written?.(of) ?? withMinus(element.textContent ?? "");
  if (!selectable) return createElement("mn", {}, text);
  const state = lit.value.selected === of && marks?.(of) !== false ? "selected" : pointed.value === of ? "pointed" : undefined;
  const props: Attributes = { ...choosing(of, onSelect), "data-of": of, class: state };
  return createElement("mn", { ...props, "aria-label": `${inWords(of)}: ${text}, explain` }, text);
}

/** Minus signs as such, settings without the zeros that fill them up, and the spaces around words, which MathML takes away. */
function tidied(text: string, name: string): string {
  if (name === "mn") return withMinus(text).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  return name === "mtext" ? text.replace(/^ | $/g, "\u00a0") : text;
}

/** A layer's number stands in a superscript of its own, where the page needs no parentheses: b⁽¹⁾ is shown as b¹. */
function inParentheses(element: Element): Element | null {
  const place = element.parentElement?.localName;
  if (element.localName !== "mrow" || element.children.length !== 3) return null;
  if (place !== "msup" && place !== "msubsup") return null;
  const [open, inner, close] = element.children;
  return open!.textContent === "(" && close!.textContent === ")" && inner!.localName === "mn" ? inner! : null;
}

/** A layer of one unit goes without an index, as in the graph: a²₁ is shown as a². */
function withoutIndex(element: Element): Element | null {
  const [base, sub, sup] = element.children;
  const layers = shape.value?.layers;
  if (!layers || sub?.textContent !== "1") return null;
  if (element.localName === "msub") return /^[ty]$/.test(base!.textContent) && layers.at(-1)?.units === 1 ? base! : null;
  if (element.localName !== "msubsup" || !/^[abz]$/.test(base!.textContent)) return null;
  if (layers[Number(sup!.textContent.replace(/[()]/g, "")) - 1]?.units !== 1) return null;
  const bare = element.ownerDocument.createElementNS(element.namespaceURI, "msup");
  bare.append(base!.cloneNode(true), sup!.cloneNode(true));
  return bare;
}

export interface MathProps extends Numbers {
  /** A `<math>` element as text, as the API answers it. */
  source: string;
  /** The same in words, for those who do not see it. */
  label: string;
  block?: boolean;
}

export function Math({ source, label, block = false, ...numbers }: MathProps): VNode {
  const node = toNode(rootOf(source), numbers);
  const role = numbers.selectable ? "group" : undefined; // what has buttons in it is no picture
  return cloneElement(node, { role, "aria-label": spoken(label), display: block ? "block" : undefined, displaystyle: block ? "true" : undefined });
}

/** What stands right of a formula's first equals sign, and that sign; nothing where there is none. */
export function rightSide(source: string): { equals: Element; right: Element } | null {
  const [row] = rootOf(source).children;
  const parts = [...(row?.children ?? [])];
  const at = parts.findIndex((one) => one.localName === "mo" && one.textContent === "=");
  return at === 1 && parts.length === 3 ? { equals: parts[1]!, right: parts[2]! } : null;
}

/** "= …" of a formula; what is long breaks into lines before its plus and minus signs. */
export function RightSide({ source, label, ...numbers }: MathProps): VNode | null {
  const sides = rightSide(source);
  if (!sides) return null;
  const broken = pieces(sides.right);
  const long = sides.right.localName === "mfrac" && broken.length > 1; // as small as it was above its stroke
  return (
    <span class={long ? "math-lines long" : "math-lines"} role="group" aria-label={spoken(label)}>
      {broken.map((piece, i) => (
        <math key={i} displaystyle={!long} role={numbers.selectable ? "group" : undefined}>
          {i === 0 && toNode(sides.equals, numbers, true)}
          {piece.map((one, j) => toNode(one, numbers, i > 0 && j === 0 && isSign(one)))}
        </math>
      ))}
    </span>
  );
}

/** Beyond so many letters, parentheses and fractions are opened for lines to break in them. */
const LONG = 40;

const isSign = (one: Element) => one.localName === "mo" && /^[+−-]$/.test(one.textContent);

/** An expression as the pieces between which its line may break. A fraction of a long sum is written beside it: (a + b) / n. */
function pieces(element: Element, inside = false): Element[][] {
  const whole = [[element]];
  if (numberIn(element) !== null || (inside && element.textContent.length <= LONG)) return whole;
  if (element.localName === "mfrac") {
    const [above, below] = [...element.children];
    const sum = pieces(above!, true);
    if (sum.length === 1) return whole;
    sum[0]!.unshift(operator("(", element));
    sum.at(-1)!.push(operator(")", element), operator("/", element), below!);
    return sum;
  }
  if (element.localName !== "mrow") return whole;
  const found: Element[][] = [];
  [...element.children].forEach((one, i) => {
    const [first, ...more] = pieces(one, true);
    if (i === 0 || isSign(one)) found.push(first!);
    else found.at(-1)!.push(...first!);
    found.push(...more);
  });
  return found.length > 1 ? found : whole;
}

function operator(text: string, { ownerDocument, namespaceURI }: Element): Element {
  const made = ownerDocument.createElementNS(namespaceURI, "mo");
  made.setAttribute("stretchy", "false");
  made.textContent = text;
  return made;
}

/** A formula's text as it can be read out. */
export function spoken(text: string): string {
  return text.replace(/∂(\S+?)\/∂(\S+)/g, "the derivative of $1 by $2").replaceAll("·", " times ");
}

const LETTERS: Record<string, string> = { weight: "w", bias: "b", inputs: "x", targets: "t", outputs: "y", loss: "L" };

function letter(of: string, index: number[], layer: string | null, lone: boolean): VNode {
  const number = layer === null ? -1 : (shape.value?.layers.findIndex(({ name }) => name === layer) ?? -1) + 1;
  const base = <mi>{of}</mi>;
  const wide = index.some((i) => i > 8);
  const sub = lone || !index.length ? null : <mn>{index.map((i) => i + 1).join(wide ? "," : "")}</mn>;
  const sup = number > 0 ? <mn>{number}</mn> : null;
  if (sub && sup) return <msubsup>{base}{sub}{sup}</msubsup>; // prettier-ignore
  if (sub) return <msub>{base}{sub}</msub>; // prettier-ignore
  return sup ? <msup>{base}{sup}</msup> : base; // prettier-ignore
}

const partial = (top: VNode, bottom: VNode): VNode => (
  <mfrac>
    <mrow>
      <mo>∂</mo>
      {top}
    </mrow>
    <mrow>
      <mo>∂</mo>
      {bottom}
    </mrow>
  </mfrac>
);

const SLOTS: Record<string, string> = { exp_avg: "m", exp_avg_sq: "v", momentum_buffer: "v", square_avg: "v", grad_avg: "g", sum: "G" };

/** The symbol of a name: z¹₂, ∂L/∂w¹₁₂. A layer of one unit, and a single shared bias, go without an index. */
export function symbol(name: string): VNode {
  const { layer, quantity, of, index } = parse(name);
  if (quantity === "gradient_norm") return <mrow><mo>‖</mo><mo>∇</mo><mi>L</mi><mo>‖</mo></mrow>; // prettier-ignore
  const found = layer === null ? undefined : shape.value?.layers.find((one) => one.name === layer);
  const ofParameter = quantity === "weight" || quantity === "bias";
  const place = ofParameter ? index : index.slice(1);
  const ofOutputs = quantity === "targets" || quantity === "outputs";
  const units = ofOutputs ? shape.value?.layers.at(-1)?.units : quantity === "inputs" ? undefined : found?.units;
  const lone = quantity !== "weight" && (units === 1 || (quantity === "bias" && found?.bias === "shared"));
  const plain = (letterOf: string) => letter(letterOf, place, layer, lone);
  const L = <mi>L</mi>;
  if (quantity === "dL_da") return partial(L, plain("a"));
  if (quantity === "dL_dz") return partial(L, plain("z"));
  if (quantity === "da_dz") return partial(plain("a"), plain("z"));
  if (of?.startsWith("state.")) return plain(SLOTS[of.slice(6)] ?? of.slice(6));
  const own = plain(LETTERS[quantity] ?? quantity);
  if (of === "next") return <mrow><mtext>next </mtext>{own}</mrow>; // prettier-ignore
  return of === "gradient" ? partial(L, own) : own;
}

/** A name's symbol, as mathematics. */
export function Symbol({ of, label }: { of: string; label?: string }): VNode {
  return <math aria-label={label} aria-hidden={label ? undefined : "true"}>{symbol(of)}</math>; // prettier-ignore
}
