import { render } from "preact";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pointed } from "../state/explaining";
import { draft } from "../state/model";
import { Math, RightSide, rightSide, spoken, symbol } from "./math";

const MATH = (inner: string) => `<math xmlns="http://www.w3.org/1998/Math/MathML">${inner}</math>`;
const LAYER = (n: number) => `<mrow><mo>(</mo><mn>${n}</mn><mo>)</mo></mrow>`;

let page: HTMLElement;
const shown = (node: Parameters<typeof render>[0]) => {
  render(node, page);
  return page;
};

beforeEach(() => {
  page = document.createElement("div");
  const layers = [
    { name: "hidden", units: 2, bias: "shared" as const },
    { name: "output", units: 1 },
  ];
  draft.value = { network: { inputs: 2, layers }, loss: "mse", optimizer: "sgd" };
});
afterEach(() => render(null, page));

describe("the API's MathML", () => {
  test("has indices as letters of their own, which are slanted", () => {
    const letters = shown(<Math source={MATH("<msub><mi>w</mi><mi>ji</mi></msub>")} label="w" />).querySelectorAll("mi");
    expect([...letters].map(({ textContent }) => textContent)).toEqual(["w", "j", "i"]);
  });
  test("loses the parentheses of a layer's number, and the index of a lone unit", () => {
    const lone = MATH(`<msubsup><mi>a</mi><mn>1</mn>${LAYER(2)}</msubsup>`);
    expect(shown(<Math source={lone} label="a" />).querySelector("msup")?.textContent).toBe("a2");
    const first = MATH(`<msubsup><mi>a</mi><mn>1</mn>${LAYER(1)}</msubsup>`);
    expect(shown(<Math source={first} label="a" />).querySelector("msubsup")?.textContent).toBe("a11");
  });

  test("becomes no other elements than mathematics", () => {
    const found = shown(<Math source={MATH("<script>alert(1)</script><mi href='javascript:x'>z</mi>")} label="z" />);
    expect(found.querySelector("script")).toBeNull();
    expect(found.innerHTML).not.toContain("javascript");
  });

  test("has numbers that are buttons, written as the page writes them, which say what they stand for", () => {
    const chosen: string[] = [];
    const source = MATH(`<mrow><mi>z</mi><mo>=</mo><mn data-of="hidden.weight[0][1]">-3.8e-6</mn></mrow>`);
    shown(<Math source={source} label="z" selectable written={() => "−3.78e−6"} onSelect={(of) => chosen.push(of)} />);
    const number = page.querySelector<HTMLElement>("mn[data-of]")!;
    expect(number.textContent).toBe("−3.78e−6");
    expect(number.getAttribute("tabindex")).toBe("0");
    expect(number.getAttribute("aria-label")).toBe("hidden weight 1, 2: −3.78e−6, explain");
    number.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    expect(chosen).toEqual(["hidden.weight[0][1]"]);
  });

  test("has numbers with powers of ten as one number", () => {
    const power = "<msup><mn>10</mn><mrow><mo>−</mo><mn>6</mn></mrow></msup>";
    shown(<Math source={MATH(`<mrow><mn data-of="loss">2.9</mn><mo>×</mo>${power}</mrow>`)} label="" selectable written={() => "2.87e−6"} />);
    expect(page.textContent).toBe("2.87e−6");
  });

  test("has settings without the zeros that fill them up, and words with their spaces", () => {
    shown(<Math source={MATH("<mn>0.50000</mn><mn>-1.00000</mn><mn>10</mn><mtext>if </mtext>")} label="" />);
    expect([...page.querySelectorAll("mn, mtext")].map((one) => one.textContent)).toEqual(["0.5", "−1", "10", "if\u00a0"]);
  });

  test("lights the number that is pointed at", () => {
    pointed.value = "loss";
    shown(<Math source={MATH('<mn data-of="loss">1</mn>')} label="" selectable />);
    expect(page.querySelector("mn")?.getAttribute("class")).toBe("pointed");
    pointed.value = null;
  });
});

describe("the right side of a formula", () => {
  const sum = "<mn>1</mn><mo>+</mo><mrow><mn>2</mn><mo>×</mo><mn>3</mn></mrow><mo>−</mo><mn>4</mn>";
  const source = MATH(`<mrow><mi>z</mi><mo>=</mo><mrow>${sum}</mrow></mrow>`);

  test("can break before each plus and minus, which keep their spaces", () => {
    shown(<RightSide source={source} label="z = 1 + 2 × 3 − 4" />);
    expect([...page.querySelectorAll("math")].map((one) => one.textContent)).toEqual(["=1", "+2×3", "−4"]);
    expect([...page.querySelectorAll("mo[form=infix]")].map((one) => one.textContent)).toEqual(["=", "+", "−"]);
  });

  test("of a fraction of a long sum has it beside the fraction's stroke, and breaks in its parentheses", () => {
    const number = (i: number) => `<mn data-of="inputs[0][${i}]">0.12345</mn>`;
    const log = `<mrow>${number(0)}<mo>×</mo><mrow><mo>(</mo><mrow><mn>1</mn><mo>−</mo>${number(1)}</mrow><mo>)</mo></mrow></mrow>`;
    const long = `<mrow><mo>(</mo><mrow>${log}<mo>+</mo>${log}<mo>+</mo>${log}</mrow><mo>)</mo></mrow>`;
    shown(<RightSide source={MATH(`<mrow><mi>L</mi><mo>=</mo><mfrac><mrow><mo>−</mo>${long}</mrow><mn>4</mn></mfrac></mrow>`)} label="" />);
    const part = "0.12345×(1−0.12345)";
    expect([...page.querySelectorAll("math")].map((one) => one.textContent)).toEqual([`=(−(${part}`, `+${part}`, `+${part}))/4`]);
  });

  test("of a short fraction stays one", () => {
    shown(<RightSide source={MATH(`<mrow><mi>L</mi><mo>=</mo><mfrac><mrow>${sum}</mrow><mn>2</mn></mfrac></mrow>`)} label="" />);
    expect(page.querySelectorAll("math")).toHaveLength(1);
    expect(page.querySelector("mfrac")).not.toBeNull();
  });

  test("is none where there is no equals sign", () => {
    expect(rightSide(MATH("<mi>η</mi>"))).toBeNull();
  });
});

describe("symbols of the page's own", () => {
  const text = (name: string) => shown(<math>{symbol(name)}</math>).querySelector("math")!.textContent;

  test.each([
    ["hidden.z[0][1]", "z21"],
    ["output.z[0][0]", "z2"],
    ["hidden.bias[0]", "b1"],
    ["hidden.weight.gradient[0][1]", "∂L∂w121"],
    ["output.da_dz[0][0]", "∂a2∂z2"],
    ["targets[0][0]", "t"],
    ["inputs[0][1]", "x2"],
    ["gradient_norm", "‖∇L‖"],
    ["hidden.weight.state.exp_avg[0][1]", "m121"],
    ["hidden.weight.next[0][1]", "next w121"],
  ])("%s", (name, expected) => expect(text(name)).toBe(expected));
});

test("formulas are read out in words", () => {
  expect(spoken("∂L/∂b¹ = 2 · 3")).toBe("the derivative of L by b¹ = 2  times  3");
});
