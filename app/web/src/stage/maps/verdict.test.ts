import { describe, expect, it } from "vitest";
import { verdict } from "./verdict";

const names = ["cat", "dog", "bird"];

describe("verdict", () => {
  it("compares the largest output with the class", () => {
    expect(verdict([-1, 2.5, 2], 1, names)).toBe("says dog, is dog");
    expect(verdict([-3, -2, -1], [1, 0, 0], names)).toBe("says bird, is cat");
  });
  it("is none without classes", () => {
    expect(verdict([0.7], 0, ["0"])).toBeNull();
    expect(verdict([0.1, 0.2], [0.5, 0.5], ["0", "1"])).toBeNull();
    expect(verdict([0.1, 0.2], undefined, ["0", "1"])).toBeNull();
  });
  it("leaves out what is no number", () => {
    expect(verdict([null, 1, 2], 2, names)).toBe("says bird, is bird");
    expect(verdict([null, null], 0, names)).toBe("says nothing, is cat");
  });
});
