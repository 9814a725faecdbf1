import { expect, it } from "vitest";
import { toSvg, type Drawn } from "./drawing";

const svg = (...drawn: Drawn[]) => new DOMParser().parseFromString(toSvg(drawn, 100, 50, "rgb(1, 2, 3)"), "image/svg+xml").documentElement;
const TEXT = { kind: "text", x: 1, y: 12, width: 20, size: 13, weight: "400", style: "normal", family: '"Inter Variable"', colour: "red" } as const;

it("is as large as what it shows, on the page's ground", () => {
  const root = svg();
  expect(root.getAttribute("viewBox")).toBe("0 0 100 50");
  expect(root.querySelector("rect")!.getAttribute("fill")).toBe("rgb(1, 2, 3)");
});

it("keeps text as text", () => {
  const text = svg({ ...TEXT, text: 'a < b & "c"' }).querySelector("text")!;
  expect(text.textContent).toBe('a < b & "c"');
  expect(text.getAttribute("font-family")).toBe('"Inter Variable"');
  expect(text.getAttribute("textLength")).toBe("20");
});

it("draws a border inside of its box, as CSS does", () => {
  const box = { kind: "box", x: 10, y: 10, width: 30, height: 20, radius: 4, fill: null, stroke: "blue", strokeWidth: 2, dash: "dashed" } as const;
  const rect = svg(box).querySelectorAll("rect")[1]!;
  expect(["x", "y", "width", "height"].map((name) => rect.getAttribute(name))).toEqual(["11", "11", "28", "18"]);
  expect(rect.getAttribute("fill")).toBe("none");
  expect(rect.getAttribute("stroke-dasharray")).toBe("4 3");
});

it("draws a line from place to place", () => {
  const path = svg({ kind: "stroke", from: [0, 1], to: [2.005, 3], colour: "blue", width: 1, dash: "solid" }).querySelector("path")!;
  expect(path.getAttribute("d")).toMatch(/^M0 1L2\.0?1? 3$/);
  expect(path.hasAttribute("stroke-dasharray")).toBe(false);
});

it("keeps the spaces at the ends of a text, which has others beside it", () => {
  const space = (text: string) => svg({ ...TEXT, text }).querySelector("text")!.getAttribute("xml:space");
  expect([space("sample "), space("sample")]).toEqual(["preserve", null]);
});
