import { describe, expect, it } from "vitest";
import { decimalsOf, merged, type Status } from "./merged";
import type { Verified } from "../../types";

it.each([["0.59300", 5], [".5", 1], ["12", 0], ["593e-5", 5], ["1.25e1", 1], ["1e3", 0], ["5.", 0]])("%s has %i decimals", (text, many) => {
  expect(decimalsOf(text)).toBe(many);
}); // prettier-ignore

const graded = (statuses: Status[]) => {
  const items = statuses.map((status, i) => ({ name: `hidden.${"za"[i]}`, index: [0, 0], given: 0, expected: 0, status }));
  const wrong = items.find(({ status }) => status === "wrong") ?? null;
  return { items, first_wrong: wrong, likely_cause: wrong && { slip: `of ${wrong.name}` } } as unknown as Verified;
};
const decimals = new Map([["hidden.z[0][0]", 4], ["hidden.a[0][0]", 2]]); // prettier-ignore
const statuses = (of: ReturnType<typeof merged>) => [...of.statuses.values()];

describe("grades to each number's own decimals", () => {
  it("are those of the call for them", () => {
    const found = merged(new Map([[4, graded(["correct", "wrong"])], [2, graded(["correct", "rounded"])]]), decimals); // prettier-ignore
    expect(statuses(found)).toEqual(["correct", "rounded"]);
    expect([found.firstWrong, found.cause]).toEqual([null, null]);
  });
  it("have the first number wrong to its own, with that call's cause", () => {
    const found = merged(new Map([[4, graded(["correct", "wrong"])], [2, graded(["correct", "wrong"])]]), decimals); // prettier-ignore
    expect([found.firstWrong, found.cause?.slip]).toEqual(["hidden.a[0][0]", "of hidden.a"]);
  });
  it("have no cause of another number", () => {
    const found = merged(new Map([[4, graded(["correct", "wrong"])], [2, graded(["wrong", "wrong"])]]), decimals); // prettier-ignore
    expect([found.firstWrong, found.cause]).toEqual(["hidden.a[0][0]", null]);
  });
  it("follow from no mistake where there is none", () => {
    const follows = "follows_from_earlier_mistake";
    const calls = (first: Status) => new Map([[4, graded([first, "wrong"])], [2, graded(["wrong", follows])]]); // prettier-ignore
    expect(statuses(merged(calls("rounded"), decimals))).toEqual(["rounded", "rounded"]);
    expect(statuses(merged(calls("wrong"), decimals))).toEqual(["wrong", follows]);
  });
});
