import { expect, test } from "vitest";
import { pieces } from "./prose";

test("names stand apart from the text", () => {
  expect(pieces("hidden.dL_dz was computed without (-0.5, 0.2): it is hidden.dL_da as it is")).toEqual([
    "",
    "hidden.dL_dz",
    " was computed without (−0.5, 0.2): it is ",
    "hidden.dL_da",
    " as it is",
  ]);
});

test("a parameter's gradient and next value are names, words with a full stop are none", () => {
  expect(pieces("output.bias.next is my-layer.weight.gradient. The end.")).toEqual([
    "", "output.bias.next", " is ", "my-layer.weight.gradient", ". The end.",
  ]); // prettier-ignore
});
