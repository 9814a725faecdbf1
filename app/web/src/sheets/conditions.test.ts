import { describe, expect, it } from "vitest";
import { first, lacks } from "./conditions";
import type { Kind } from "../types";

const kind = (properties: object, required: string[] = []) => ({ type: "x", options: { properties, required } }) as unknown as Kind;
const SHARE = kind({ value: { type: "number", minimum: 0, maximum: 1 } }, ["value"]);

describe("a condition", () => {
  it("can be run as it is first chosen", () => {
    expect(lacks(first("saturated_units_above", "hidden.weight", 0), SHARE)).toBeNull();
    expect(first("epoch", "hidden.weight", 35)).toEqual({ type: "epoch", value: 135 });
    expect(first("parameter_outside", "hidden.weight", 0).parameter).toBe("hidden.weight");
    expect(first("plateau", "hidden.weight", 0)).toEqual({ type: "plateau" });
  });
  it("says what it lacks", () => {
    expect(lacks({ type: "x" }, SHARE)).toBe("Fill in value first.");
    expect(lacks({ type: "x", value: 2 }, SHARE)).toBe("The value takes 1 or less.");
    expect(lacks({ type: "x", value: "0,5" }, SHARE)).toBe("The value takes a number.");
  });
  it("needs nothing that has a default", () => {
    expect(lacks({ type: "x" }, kind({ min_delta: { type: "number", minimum: 0 } }))).toBeNull();
    expect(lacks({ type: "x", min_delta: -1 }, kind({ min_delta: { type: "number", minimum: 0 } }))).toBe("The min delta takes 0 or more.");
  });
});
