import { expect, test } from "vitest";
import { errorAt, fieldOf, initial, numberOf, problemOf, type Schema } from "./schema";

const DEFS: Record<string, Schema> = {
  Clip: { type: "object", properties: { type: { enum: ["norm", "value"], type: "string" }, value: { type: "number", default: 1 } }, required: ["type"] },
  Step: { type: "object", properties: { type: { const: "step", type: "string" }, gamma: { type: "number" } } },
  Cosine: { type: "object", properties: { type: { const: "cosine", type: "string" }, eta_min: { type: "number", default: 0 } } },
};
const kind = (schema: Schema) => fieldOf(schema, DEFS).kind;

test("schemas are fields of the kind that a person expects", () => {
  expect(kind({ type: "number" })).toBe("number");
  expect(kind({ type: "boolean" })).toBe("boolean");
  expect(kind({ enum: ["a", "b"] })).toBe("choice");
  expect(kind({ const: "x" })).toBe("fixed");
  expect(kind({ type: "array", prefixItems: [{ type: "number" }] })).toBe("tuple");
  expect(kind({ type: "array" })).toBe("json");
  expect(fieldOf({ anyOf: [{ type: "integer" }, { type: "null" }] }, DEFS)).toMatchObject({ kind: "integer", nullable: true });
});

test("references are followed, and objects told apart by type are variants", () => {
  expect(fieldOf({ anyOf: [{ $ref: "#/$defs/Clip" }, { type: "null" }] }, DEFS)).toMatchObject({ kind: "object", nullable: true });
  const schedule = fieldOf(
    { anyOf: [{ enum: ["constant"], type: "string" }, { oneOf: [{ $ref: "#/$defs/Step" }, { $ref: "#/$defs/Cosine" }] }, { type: "null" }] },
    DEFS,
  );
  expect(schedule).toMatchObject({ kind: "variant", nullable: true, variants: [{ name: "step" }, { name: "cosine" }] });
});

test("an object begins with its type and its defaults", () => {
  expect(initial(DEFS.Clip!)).toEqual({ type: "norm", value: 1 });
});

test("numbers are read as they are typed", () => {
  expect(["0.05", " 1e-8 ", "−2", "", "x"].map(numberOf)).toEqual([0.05, 1e-8, -2, undefined, "x"]);
});

test("bounds are checked before the server is asked", () => {
  expect(problemOf(-1, { minimum: 0 })).toBe("takes 0 or more");
  expect(problemOf(1, { exclusiveMaximum: 1 })).toBe("takes less than 1");
  expect(problemOf(1.5, { type: "integer" })).toBe("takes a whole number");
  expect(problemOf("x", {})).toBe("takes a number");
  expect(problemOf(undefined, { minimum: 0 })).toBeNull();
});

test("what the API said is found at its field, or at what the field is in", () => {
  const errors = [{ pointer: "/optimizer/betas/1", detail: "got 2" }];
  expect(errorAt(errors, "/optimizer/betas")).toBe("got 2");
  expect(errorAt(errors, "/optimizer", false)).toBeNull();
  expect(errorAt(errors, "/opt")).toBeNull();
});
