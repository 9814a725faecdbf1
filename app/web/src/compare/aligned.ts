/** The curves of two sessions, aligned by epoch, and their largest differences as rows. */

import { entry, parse } from "../names";
import type { Comparison, Curves } from "../types";

type Column = (number | null)[];

export interface Aligned {
  x: number[];
  a: Column;
  b: Column;
}

/** The losses of both over all epochs that either has. B begins where it was forked: before that, it is A. */
export function aligned(a: Curves | null, b: Curves | null, fork: { child: "A" | "B"; epoch: number } | null): Aligned {
  const x = [...new Set([...(a?.epoch ?? []), ...(b?.epoch ?? [])])].sort((one, other) => one - other);
  const after = (side: "A" | "B") => (fork?.child === side ? fork.epoch : 0);
  return { x, a: over(x, a, after("A")), b: over(x, b, after("B")) };
}

/** A loss at each epoch of x. Long curves come thinned, each on its own: what lies between two epochs of it is on their line. */
function over(x: number[], curves: Curves | null, after: number): Column {
  const { epoch = [], loss = [] } = curves ?? {};
  let next = 0;
  return x.map((at) => {
    while (next < epoch.length && epoch[next]! < at) next++;
    if (at < after || next >= epoch.length) return null;
    if (epoch[next] === at) return loss[next] ?? null;
    const [from, to] = [loss[next - 1], loss[next]];
    if (next === 0 || from == null || to == null) return null;
    return from + ((to - from) * (at - epoch[next - 1]!)) / (epoch[next]! - epoch[next - 1]!);
  });
}

export type Kind = "parameters" | "gradients" | "activations";

/** Where a tensor of both sessions differs most. */
export interface Difference {
  tensor: string;
  /** The entry's name, and the indices of it. */
  of: string;
  index: number[];
  a: number | null;
  b: number | null;
  /** B − A; null where one of them is no number. */
  by: number | null;
  /** As a share of A. */
  relative: number | null;
  /** −1 … 1: its part of the largest one here. */
  share: number;
}

export function kindOf(tensor: string): Kind | null {
  const { quantity, of } = parse(tensor);
  if (of?.startsWith("state.")) return null;
  if (of === "gradient" || quantity.startsWith("dL_") || quantity === "da_dz") return "gradients";
  return quantity === "weight" || quantity === "bias" ? "parameters" : "activations";
}

/** The largest differences of a kind, in the order of computation. The API's answer is B's, against A. */
export function differences(of: Comparison | null, kind: Kind, most = 12): Difference[] {
  const found = Object.entries(of?.tensors ?? {})
    .filter(([tensor, { index }]) => kindOf(tensor) === kind && index !== null)
    .map(([tensor, { index, value, against }]) => {
      const by = value === null || against === null ? null : value - against;
      const relative = by === null || !against ? null : Math.abs(by / against);
      return { tensor, of: entry(tensor, ...index!), index: index!, a: against, b: value, by, relative, share: 0 };
    });
  const size = ({ by }: Difference) => (by === null ? Infinity : Math.abs(by));
  const least = found.map(size).sort((one, other) => other - one)[most - 1] ?? 0;
  const shown = found.filter((one) => size(one) >= least).slice(0, most);
  const largest = Math.max(...shown.map(({ by }) => Math.abs(by ?? 0)));
  return shown.map((one) => ({ ...one, share: one.by === null || largest === 0 ? 0 : one.by / largest }));
}
