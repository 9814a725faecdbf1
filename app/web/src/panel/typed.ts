/** Numbers as people type them: `0.0554`, `−0.5`, `.5`, `1e-3`, `0,25`. */

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?$/i;

/** A typed number as the API takes it, its zeros kept: null where nothing was typed, undefined where it is no number. */
export function typed(text: string): string | null | undefined {
  const tidy = text.trim().replace(/[−–]/g, "-").replace(/^([^,.]*),([^,.]*)$/, "$1.$2");
  if (tidy === "") return null;
  return NUMBER.test(tidy) ? tidy : undefined;
}

/** The same as a number. */
export function typedNumber(text: string): number | null | undefined {
  const tidy = typed(text);
  return typeof tidy === "string" ? Number(tidy) : tidy;
}

export const TAKES_A_NUMBER = "takes a number, such as 0.0554, −0.5 or 1e−3";
