import { describe, expect, it } from "vitest";
import { moved } from "./strip";

describe("the slider's keys", () => {
  it("move by one, by a tenth, and to the ends", () => {
    const to = (key: string) => moved(key, 50, 200);
    expect(["ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp", "PageDown", "PageUp", "Home", "End"].map(to)).toEqual([49, 49, 51, 51, 30, 70, 0, 200]);
  });

  it("stay within the ends, and let others be", () => {
    expect([moved("ArrowLeft", 0, 3), moved("PageUp", 3, 3), moved("n", 1, 3)]).toEqual([0, 3, null]);
  });
});
