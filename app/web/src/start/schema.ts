/** JSON schemas as the API's catalogue has them, seen as the fields of a form. */

export interface Schema {
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  prefixItems?: Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

export type Values = Record<string, unknown>;

/** What is wrong with a body, as the API says it. */
export type FieldError = { pointer?: string | null | undefined; detail: string };

/** One of several kinds of object, told apart by their `type`. */
export interface Variant {
  name: string;
  schema: Schema;
}

/** A schema as what a person fills in. `nullable`: it may be left empty, which means null. */
export type Field = { nullable: boolean; schema: Schema } & (
  | { kind: "number" | "integer" | "boolean" | "text" | "json" | "fixed" }
  | { kind: "choice"; options: unknown[] }
  | { kind: "tuple"; items: Schema[] }
  | { kind: "object" }
  | { kind: "variant"; variants: Variant[] }
);

export function fieldOf(schema: Schema, defs: Record<string, Schema>): Field {
  const own = resolved(schema, defs);
  const all = alternatives(own, defs);
  const nullable = all.some(({ type }) => type === "null");
  const some = all.filter(({ type }) => type !== "null");
  const variants = some.filter(({ properties }) => typeof properties?.type?.const === "string");
  const common = { nullable, schema: own };
  if (variants.length > 1) {
    return { ...common, kind: "variant", variants: variants.map((one) => ({ name: String(one.properties!.type!.const), schema: one })) };
  }
  const one = some.length === 1 ? some[0]! : undefined;
  if (!one) return { ...common, kind: "json" };
  const inner = { nullable, schema: { ...one, ...(own.default === undefined ? {} : { default: own.default }) } };
  if (one.const !== undefined) return { ...inner, kind: "fixed" };
  if (one.enum) return { ...inner, kind: "choice", options: one.enum };
  if (one.properties) return { ...inner, kind: "object" };
  if (one.prefixItems) return { ...inner, kind: "tuple", items: one.prefixItems };
  if (one.type === "number" || one.type === "integer" || one.type === "boolean") return { ...inner, kind: one.type };
  return { ...inner, kind: one.type === "string" ? "text" : "json" };
}

function resolved(schema: Schema, defs: Record<string, Schema>): Schema {
  if (!schema.$ref) return schema;
  const { $ref, ...beside } = schema;
  return { ...defs[$ref.slice($ref.lastIndexOf("/") + 1)], ...beside };
}

function alternatives(schema: Schema, defs: Record<string, Schema>): Schema[] {
  const inner = schema.properties ? undefined : (schema.anyOf ?? schema.oneOf);
  return inner ? inner.flatMap((one) => alternatives(resolved(one, defs), defs)) : [schema];
}

/** `learning_rate` is "learning rate". */
export const labelOf = (key: string): string => key.replaceAll("_", " ");

/** What a value starts as, when a person asks for it: its required fields, and `type`. */
export function initial(schema: Schema): Values {
  const found: Values = {};
  for (const [key, one] of Object.entries(schema.properties ?? {})) {
    if (key === "type") found.type = one.const ?? one.default ?? one.enum?.[0];
    else if (one.default !== undefined && one.default !== null) found[key] = one.default;
  }
  return found;
}

/** The number that a text says; the text itself where it says none, for the API to refuse; undefined where it is empty. */
export function numberOf(text: string): number | string | undefined {
  const tidy = text.trim().replaceAll("−", "-");
  if (tidy === "") return undefined;
  const value = Number(tidy);
  return Number.isFinite(value) ? value : text;
}

/** What is wrong with a number, before the API is asked. */
export function problemOf(value: unknown, schema: Schema): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "number") return "takes a number";
  if (schema.type === "integer" && !Number.isInteger(value)) return "takes a whole number";
  if (schema.minimum !== undefined && value < schema.minimum) return `takes ${schema.minimum} or more`;
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) return `takes more than ${schema.exclusiveMinimum}`;
  if (schema.maximum !== undefined && value > schema.maximum) return `takes ${schema.maximum} or less`;
  if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum) return `takes less than ${schema.exclusiveMaximum}`;
  return null;
}

/** What the API said of a value, or of anything in it. */
export function errorAt(errors: readonly FieldError[], pointer: string, within = true): string | null {
  const found = errors.find(({ pointer: at }) => at === pointer || (within && at?.startsWith(`${pointer}/`)));
  return found?.detail ?? null;
}
