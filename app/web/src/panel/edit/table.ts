/** Tables as people paste them (comma, semicolon, tab or spaces between columns, with names or without), made into what the API takes. */

import type { Meaning } from "../../stage/answers";
import type { Rows } from "../../types";

export interface Table {
  names: string[];
  /** How many rows, without the names. */
  count: number;
  csv: string;
  /** For each line of the CSV, which line of the text it was, from 1; 0 for names that were added. */
  lines: number[];
}

/** Read a table. Without a line of names, columns are named `x1` … `xn`, and beyond the network's inputs `t1` …. Throws a plain sentence. */
export function readTable(text: string, inputs: number): Table {
  const lines = text.split(/\r?\n/).map((line, i) => ({ line: line.replace(/^ +| +$/g, ""), at: i + 1 })).filter(({ line }) => line.trim() !== ""); // prettier-ignore
  if (!lines.length) throw new Error("There are no rows in it.");
  const separator = separatorOf(lines[0]!.line);
  const cells = lines.map(({ line }) => line.split(separator).map((cell) => tidy(cell, separator)));
  const width = cells[0]!.length;
  const uneven = cells.findIndex((line) => line.length !== width);
  if (uneven >= 0) throw new Error(`Line ${lines[uneven]!.at} has ${cells[uneven]!.length} columns, the first line ${width}.`);
  const hasNames = cells[0]!.some(Boolean) && cells[0]!.every((cell) => cell === "" || Number.isNaN(Number(cell)));
  const names = hasNames ? cells.shift()! : Array.from({ length: width }, (_, i) => (i < inputs ? `x${i + 1}` : `t${i - inputs + 1}`));
  if (!cells.length) throw new Error("There is a line of names in it, and no rows.");
  const csv = [names, ...cells].map((line) => line.join(",")).join("\n");
  const places = lines.map(({ at }) => at);
  return { names, count: cells.length, csv: `${csv}\n`, lines: hasNames ? places : [0, ...places] };
}

/** What the API says of its CSV, with the lines as they stand in the text. */
export function withLines(said: string, { lines }: Table): string {
  return said.replace(/\bline (\d+)/g, (_, line: string) => `line ${lines[Number(line) - 1] ?? line}`);
}

const SPACES = /\s+/;

function separatorOf(line: string): string | RegExp {
  return ["\t", ";", ","].find((one) => line.includes(one)) ?? SPACES;
}

function tidy(cell: string, separator: string | RegExp): string {
  const bare = cell.trim().replace(/^"(.*)"$/, "$1").replaceAll("−", "-");
  return separator !== "," && /^[+-]?\d*,\d+$/.test(bare) ? bare.replace(",", ".") : bare;
}

/** The columns that are most likely targets: those beyond the network's inputs, or else the last. */
export function likelyTargets(names: string[], inputs: number): string[] {
  return names.slice(Math.min(inputs, names.length - 1));
}

/** Whether a text is JSON, and no table. */
export const isJson = (text: string): boolean => /^\s*[{[]/.test(text);

/** One row of data; class indices count as targets of one number. */
export interface DataRow {
  inputs: number[];
  targets: number[];
}

/** The session's rows one by one. */
export function rowsOf(data: Rows): DataRow[] {
  const targets = data.targets as (number | number[])[];
  return (data.inputs as number[][]).map((inputs, i) => ({ inputs, targets: [targets[i] ?? []].flat() }));
}

/** Rows as the API takes them, their targets flat where the session's are; its test rows stay. */
export function dataOf(rows: DataRow[], before: Rows): unknown {
  const targets = rows.map((row) => (isFlat(before) ? row.targets[0] : row.targets));
  const test = before.test ? { test: before.test } : {};
  return { inputs: rows.map(({ inputs }) => inputs), targets, ...test };
}

/** The targets of a point that is drawn, by its class, or with the value that was typed where there are no classes. */
export function targetsOf(meaning: Meaning, chosen: number, isFlat: boolean, value: number): number[] {
  if (meaning.kind === "value") return [value];
  if (meaning.kind === "binary") return [chosen ? meaning.high : meaning.low];
  return isFlat ? [chosen] : meaning.names.map((_, i) => Number(i === chosen));
}

/** Whether targets are class indices, one flat list. */
export const isFlat = (data: Rows): boolean => typeof (data.targets as unknown[])[0] === "number";
