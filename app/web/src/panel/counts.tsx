/** What the counts in a loss's formula are: n samples, m outputs of all samples. */

import type { VNode } from "preact";
import { plural } from "../numbers";
import { sampleCount, shape } from "../state/model";

export function Counts({ formulas }: { formulas: readonly string[] }): VNode | null {
  const has = (letter: string) => formulas.some((mathml) => mathml.includes(`<mi>${letter}</mi>`));
  const samples = plural(sampleCount.value, "sample");
  const said = [
    ...(has("n") ? [`n: ${samples}`] : []),
    ...(has("m") ? [`m: ${samples} × ${plural(shape.value?.layers.at(-1)?.units ?? 1, "output")}`] : []),
  ];
  return said.length ? <small>{said.join(", ")}</small> : null;
}
