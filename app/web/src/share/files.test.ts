import { expect, it } from "vitest";
import { fileName } from "./files";

it("names a file after the session and its revision", () => {
  expect(fileName(".csv", "notebook", 4)).toBe("notebook-4.csv");
});

it("keeps to letters that every system can keep", () => {
  expect(fileName(".svg", "../käse & brot", 0)).toBe("käse-brot-0.svg");
  expect(fileName(".svg", "///", 0)).toBe("session-0.svg");
});
