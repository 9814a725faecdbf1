/** What a network says of a sample, and what it is, where its outputs are classes. */

/** "says 3, is 8"; null where there are no classes: one output, or targets that are no class. */
export function verdict(outputs: (number | null)[], target: unknown, names: string[]): string | null {
  if (outputs.length < 2) return null;
  const is = Array.isArray(target) ? oneHot(target) : typeof target === "number" ? target : null;
  if (is === null || is >= outputs.length) return null;
  const says = names[strongest(outputs)] ?? "nothing";
  return `says ${says}, is ${names[is]}`;
}

function strongest(values: (number | null)[]): number {
  let best = -1;
  for (const [i, value] of values.entries()) if (value !== null && (best < 0 || value > values[best]!)) best = i;
  return best;
}

function oneHot(target: unknown[]): number | null {
  const ones = target.filter((value) => value === 1).length;
  return ones === 1 && target.every((value) => value === 0 || value === 1) ? target.indexOf(1) : null;
}
