/** One grade for each number, to as many decimals as it was typed with: the API grades all of a call alike. */

import { entry } from "../../names";
import type { Verified } from "../../types";

export type Status = Verified["items"][number]["status"];
export type Cause = NonNullable<Verified["likely_cause"]>;

export interface Grades {
  /** By the name of the number, in the order of computation. */
  statuses: ReadonlyMap<string, Status>;
  firstWrong: string | null;
  cause: Cause | null;
}

const MOST = 20; // the API counts no more

/** The decimals of a typed number: 5 of `0.59300`, and of `593e-5`. */
export function decimalsOf(number: string): number {
  const [mantissa = "", power = "0"] = number.toLowerCase().split("e");
  const after = mantissa.split(".")[1]?.length ?? 0;
  return Math.min(MOST, Math.max(0, after - Number(power)));
}

/** What was graded to each of these decimals, put together: every number as in the call for its own. */
export function merged(graded: ReadonlyMap<number, Verified>, decimals: ReadonlyMap<string, number>): Grades {
  const names = [...graded.values()][0]!.items.map(nameOf);
  const statuses = new Map<string, Status>();
  let firstWrong: string | null = null;
  let cause: Cause | null = null;
  names.forEach((name, i) => {
    const found = graded.get(decimals.get(name)!)!;
    const { status } = found.items[i]!;
    if (status === "wrong" && firstWrong === null) {
      firstWrong = name;
      // Where a number before it is wrong only to that many decimals, the cause is that one's.
      if (found.first_wrong && nameOf(found.first_wrong) === name) cause = found.likely_cause;
    }
    // It follows from a mistake that is none to the decimals of the number in which it was.
    statuses.set(name, status === "follows_from_earlier_mistake" && firstWrong === null ? "rounded" : status);
  });
  return { statuses, firstWrong, cause };
}

const nameOf = ({ name, index }: { name: string; index: number[] }): string => entry(name, ...index);
