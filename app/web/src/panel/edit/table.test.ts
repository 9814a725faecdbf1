import { expect, test } from "vitest";
import type { Rows } from "../../types";
import { dataOf, isJson, likelyTargets, readTable, rowsOf, targetsOf, withLines } from "./table";

const rows = (inputs: number[][], targets: number[] | number[][], test: Rows["test"] = null): Rows =>
  ({ inputs, targets, test }) as Rows;

test("a table with names is taken as it is", () => {
  expect(readTable("x1,x2,y\n1,2,0\n0,1,1\n", 2)).toEqual({
    names: ["x1", "x2", "y"],
    count: 2,
    csv: "x1,x2,y\n1,2,0\n0,1,1\n",
    lines: [1, 2, 3],
  });
});

test("without names, columns beyond the inputs are targets", () => {
  const { names, count, csv } = readTable("1\t2\t0\r\n3\t4\t1", 2);
  expect(names).toEqual(["x1", "x2", "t1"]);
  expect(count).toBe(2);
  expect(csv).toBe("x1,x2,t1\n1,2,0\n3,4,1\n");
});

test.each(["5.1,3.5,setosa\n4.9,3,setosa", "5.1,,0\n4.9,3,1"])("a first line with a number in it is a row: %j", (text) => {
  expect(readTable(text, 2)).toMatchObject({ names: ["x1", "x2", "t1"], count: 2 });
});

test("semicolons go with decimal commas and quotes", () => {
  expect(readTable('"a";"b"\n0,5;−1,25', 1).csv).toBe("a,b\n0.5,-1.25\n");
});

test("columns may be apart by spaces", () => {
  expect(readTable("  1  2 0\n3 4 1", 2).csv).toBe("x1,x2,t1\n1,2,0\n3,4,1\n");
});

test("lines are named as they stand in the text", () => {
  expect(withLines("line 3, column 1: no number", readTable("1,2\n\nx,4", 1))).toBe("line 3, column 1: no number");
  expect(withLines("line 2, column 1: no number", readTable("1,2\n\nx,4", 1))).toBe("line 1, column 1: no number");
});

test.each([
  ["", "There are no rows in it."],
  ["x,y\n", "There is a line of names in it, and no rows."],
  ["1,2\n1,2,3", "Line 2 has 3 columns, the first line 2."],
])("%j cannot be read", (text, said) => expect(() => readTable(text, 1)).toThrow(said));

test("targets are what lies beyond the inputs, or else the last column", () => {
  expect(likelyTargets(["a", "b", "c", "d"], 2)).toEqual(["c", "d"]);
  expect(likelyTargets(["a", "b"], 2)).toEqual(["b"]);
});

test("JSON is told from a table", () => {
  expect(isJson(' {"inputs": [[1]]}')).toBe(true);
  expect(isJson("1,2")).toBe(false);
});

test("rows go there and back, with class indices and test rows", () => {
  const data = rows([[1, 2], [3, 4]], [0, 1], { inputs: [[5, 6]], targets: [1] }); // prettier-ignore
  const all = rowsOf(data);
  expect(all).toEqual([{ inputs: [1, 2], targets: [0] }, { inputs: [3, 4], targets: [1] }]); // prettier-ignore
  expect(dataOf(all, data)).toEqual(data);
  expect(dataOf(rowsOf(rows([[1]], [[2]])), rows([[1]], [[2]]))).toEqual({ inputs: [[1]], targets: [[2]] });
});

test("a drawn point has the targets of its class, as the rows have them, or a value", () => {
  const names = ["a", "b", "c"];
  expect(targetsOf({ kind: "binary", low: -1, high: 1, names }, 0, false, 9)).toEqual([-1]);
  expect(targetsOf({ kind: "binary", low: -1, high: 1, names }, 1, false, 9)).toEqual([1]);
  expect(targetsOf({ kind: "classes", names }, 2, true, 9)).toEqual([2]);
  expect(targetsOf({ kind: "classes", names }, 2, false, 9)).toEqual([0, 0, 1]);
  expect(targetsOf({ kind: "value", low: 0, high: 1 }, 0, false, 9)).toEqual([9]);
});
