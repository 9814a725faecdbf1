import { expect, test } from "vitest";
import { lineOf, pretty, scan } from "./json-lines";

const TEXT = `{
  "network": {"inputs": 2},
  "layers": [
    {"units": 1},
    {"a/b": [true, null, -1.5e3, "\\u00e4\\"{"]}
  ]
}`;

test("JSON is read as JSON.parse reads it, with the lines of its values", () => {
  const found = scan(TEXT);
  if (!("value" in found)) throw new Error(found.fault.detail);
  expect(found.value).toEqual(JSON.parse(TEXT));
  expect(lineOf("/network/inputs", found.lines)).toBe(2);
  expect(lineOf("/layers/1/a~1b/2", found.lines)).toBe(5);
  expect(lineOf("/layers/0/activation", found.lines)).toBe(4);
  expect(lineOf("/optimizer", found.lines)).toBe(1);
});

test.each([
  ['{"a" 1}', 1, 'A colon is missing after "a".'],
  ['{\n"a": 1\n"b": 2}', 3, "A comma or } is missing before this."],
  ["[1,\n]", 2, "A value is missing here."],
  ["[01]", 1, "01 is no JSON value."],
  ['{"a": 1, "a": 2}', 1, 'The name "a" stands here twice.'],
  ['{"a": "x\n"}', 1, "A double quote is missing at the end."],
  ["{} x", 1, "Nothing more may stand here."],
  ["", 1, "A value is missing here."],
  ["[1", 1, "A comma or ] is missing before this."],
])("%j: what is wrong is said at its line", (text, line, detail) => {
  expect(scan(text)).toEqual({ fault: { line, detail } });
});

test("__proto__ is a name like others", () => {
  const found = scan('{"__proto__": {"x": 1}}');
  expect("value" in found && Object.keys(found.value as object)).toEqual(["__proto__"]);
});

test("what fits stands in one line, and all of it comes back", () => {
  const value = { name: "n", data: { inputs: [[0.05, 0.1]] }, list: Array.from({ length: 40 }, (_, i) => i), none: undefined };
  const text = pretty(value);
  expect(text).toContain('\n  "data": {"inputs": [[0.05, 0.1]]},');
  expect(text).not.toContain("undefined");
  expect(JSON.parse(pretty({ ...value, none: null }))).toEqual({ ...value, none: null });
});
