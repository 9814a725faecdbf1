/** A form made from a JSON schema of the catalogue: an object's options, or one of several kinds of thing with theirs. */

import type { ComponentChildren, VNode } from "preact";
import { useId, useState } from "preact/hooks";
import type { Spec } from "../types";
import { called, typeOf } from "../state/shape";
import { errorAt, fieldOf, initial, labelOf, numberOf, problemOf, type FieldError, type Values, type Schema } from "./schema";
import "./schema-form.css";

export type { FieldError } from "./schema";

export interface SchemaFormProps {
  /** The schema of an object: a kind's `options`. */
  schema: unknown;
  value: Values;
  onChange: (value: Values) => void;
  /** What the API said, each with a JSON pointer into the body. */
  errors?: readonly FieldError[] | undefined;
  /** Where this object is in the body. */
  pointer?: string;
  /** Fields that are not shown. */
  omit?: readonly string[];
}

/** The fields of an object. */
export function SchemaForm({ schema, value, onChange, errors = [], pointer = "", omit = [] }: SchemaFormProps): VNode {
  const { properties = {}, $defs = {} } = schema as Schema;
  const set = (key: string, to: unknown) => {
    const { [key]: _, ...rest } = value;
    onChange(to === undefined ? rest : { ...value, [key]: to });
  };
  return (
    <div class="schema-form">
      {Object.entries(properties)
        .filter(([key]) => !omit.includes(key))
        .map(([key, one]) => (
          <SchemaField
            key={key}
            label={labelOf(key)}
            schema={one}
            defs={$defs}
            value={value[key]}
            onChange={(to) => set(key, to)}
            errors={errors}
            pointer={`${pointer}/${key}`}
          />
        ))}
    </div>
  );
}

interface FieldProps {
  label: string;
  schema: Schema;
  defs: Record<string, Schema>;
  value: unknown;
  onChange: (value: unknown) => void;
  errors: readonly FieldError[];
  pointer: string;
}

function SchemaField({ label, schema, defs, value, onChange, errors, pointer }: FieldProps): VNode | null {
  const field = fieldOf(schema, defs);
  const own = field.schema;
  const error = errorAt(errors, pointer);
  const inside = { errors, pointer };
  switch (field.kind) {
    case "fixed":
      return null;
    case "boolean":
      return <Check label={label} value={Boolean(value ?? own.default)} onChange={onChange} />;
    case "number":
    case "integer":
      return <NumberField label={label} schema={own} nullable={field.nullable} value={value} onChange={onChange} error={error} />;
    case "choice":
      return (
        <Select
          label={label}
          options={field.options.map(String)}
          value={String(value ?? own.default ?? field.options[0])}
          onChange={onChange}
          error={error}
        />
      );
    case "tuple": {
      const now = (Array.isArray(value) ? value : Array.isArray(own.default) ? own.default : []) as unknown[];
      return (
        <div class="schema-tuple" role="group" aria-label={label}>
          {field.items.map((item, i) => (
            <NumberField
              key={i}
              label={`${label} ${i + 1}`}
              schema={item}
              value={now[i]}
              onChange={(to) => onChange(field.items.map((_, j) => (j === i ? to : now[j])))}
              error={errorAt(errors, `${pointer}/${i}`)}
            />
          ))}
        </div>
      );
    }
    case "object": {
      const on = value !== null && value !== undefined;
      return (
        <div class="schema-part">
          {field.nullable && <Check label={label} value={on} onChange={(to) => onChange(to ? initial(own) : null)} />}
          {(on || !field.nullable) && (
            <SchemaForm schema={{ ...own, $defs: defs }} value={(value ?? {}) as Values} onChange={onChange} {...inside} />
          )}
        </div>
      );
    }
    case "variant": {
      const kinds = field.variants.map(({ name, schema: one }) => ({
        type: name,
        description: one.description ?? "",
        options: { ...one, $defs: defs },
      }));
      return (
        <KindForm
          label={label}
          kinds={kinds}
          none={field.nullable ? "none" : undefined}
          value={(value ?? own.default ?? null) as Spec | null}
          onChange={onChange}
          {...inside}
        />
      );
    }
    default:
      return <TextField label={label} json={field.kind === "json"} value={value ?? own.default} onChange={onChange} error={error} />;
  }
}

/** One of the catalogue's kinds, as `KindForm` needs it. */
export interface KindOf {
  type: string;
  description?: string | null;
  options?: unknown;
}

export interface KindFormProps {
  label: string;
  kinds: readonly KindOf[];
  value: Spec | null;
  onChange: (value: Spec | null) => void;
  errors?: readonly FieldError[] | undefined;
  pointer?: string;
  /** What having none is called, where that may be. */
  none?: string | undefined;
  /** Options that are not shown. */
  omit?: readonly string[];
  /** What stands beside the choice: the rest of its row. */
  children?: ComponentChildren;
}

/** A choice among kinds (activations, optimizers, data sets …), and the options of the one that is chosen. */
export function KindForm({ label, kinds, value, onChange, errors = [], pointer = "", none, omit = [], children }: KindFormProps): VNode {
  const type = value === null ? "" : typeOf(value);
  const kind = kinds.find((one) => one.type === type);
  const options = (typeof value === "object" && value ? value : { type }) as Values;
  const choose = (to: string) => onChange(to === "" ? null : withRequired(kinds.find((one) => one.type === to)!));
  const pairs: [string, string][] = kinds.map((one) => [one.type, called(one.type)]);
  return (
    <div class="schema-kind">
      <div class="schema-row">
        <Select
          label={label}
          options={none === undefined ? pairs : [["", none], ...pairs]}
          value={type}
          onChange={choose}
          error={errorAt(errors, pointer, false)}
          hint={kind?.description?.split("\n")[0]?.replaceAll("`", "")}
        />
        {children}
      </div>
      {kind && (
        <SchemaForm
          schema={kind.options ?? {}}
          value={options}
          onChange={(to) => onChange({ ...to, type })}
          errors={errors}
          pointer={pointer}
          omit={["type", ...omit]}
        />
      )}
    </div>
  );
}

/** A kind as it is first chosen: by its name alone, as the server fills in the rest. */
function withRequired({ type, options }: KindOf): Spec {
  return (options as Schema | undefined)?.required?.some((key) => key !== "type") ? { type } : type;
}

interface ControlProps<T> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  error?: string | null;
}

/** What a control needs to be labelled, and described by its error or hint. */
export interface ControlAttributes {
  id: string;
  "aria-invalid"?: "true";
  "aria-describedby"?: string;
}

/** A label above a control, and what is wrong with it, or a hint, below. */
export function Labelled({ label, error, hint, children }: {
  label: string;
  error?: string | null | undefined;
  hint?: string | undefined;
  children: (attributes: ControlAttributes) => ComponentChildren;
}): VNode {
  const id = useId();
  const below = error || hint;
  const attributes: ControlAttributes = { id };
  if (error) attributes["aria-invalid"] = "true";
  if (below) attributes["aria-describedby"] = `${id}-below`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(attributes)}
      {below && (
        <small id={`${id}-below`} class={error ? "field-error" : undefined}>
          {below}
        </small>
      )}
    </div>
  );
}

export function Select({ label, value, onChange, error, options, hint }: ControlProps<string> & {
  options: (string | [string, string])[];
  hint?: string | undefined;
}): VNode {
  return (
    <Labelled label={label} error={error} hint={hint}>
      {(attributes) => (
        <select {...attributes} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map((one) => {
            const [name, text] = Array.isArray(one) ? one : [one, labelOf(one)];
            return (
              <option key={name} value={name} selected={name === value}>
                {text}
              </option>
            );
          })}
        </select>
      )}
    </Labelled>
  );
}

export function Check({ label, value, onChange }: ControlProps<boolean>): VNode {
  return (
    <label class="schema-check">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** A number is typed as text, so that "0." and "1e-" can be passed through on the way to 0.05 and 1e-8. */
export function NumberField({ label, value, onChange, error, schema = {}, nullable = false }: ControlProps<unknown> & {
  schema?: Schema;
  nullable?: boolean;
}): VNode {
  const written = value === undefined || value === null ? "" : String(value);
  const [text, setText] = useState(written);
  const same = numberOf(text) === (value ?? undefined);
  const fallback = schema.default === undefined || schema.default === null ? (nullable ? "none" : "") : String(schema.default);
  return (
    <Labelled label={label} error={problemOf(value, schema) ?? error}>
      {(attributes) => (
        <input
          {...attributes}
          inputMode={schema.type === "integer" ? "numeric" : "decimal"}
          autocomplete="off"
          value={same ? text : written}
          placeholder={fallback}
          onInput={(event) => {
            const typed = event.currentTarget.value;
            setText(typed);
            onChange(numberOf(typed) ?? (nullable ? null : undefined));
          }}
        />
      )}
    </Labelled>
  );
}

/** Text, or a value written as JSON. What is no JSON yet goes on as the text that it is, for the API to refuse. */
export function TextField({ label, value, onChange, error, json = false }: ControlProps<unknown> & { json?: boolean }): VNode {
  const written = value === undefined || value === null ? "" : json ? JSON.stringify(value) : String(value);
  const [text, setText] = useState(written);
  const parse = (typed: string): unknown => {
    if (typed.trim() === "") return undefined;
    if (!json) return typed;
    try {
      return JSON.parse(typed) as unknown;
    } catch {
      return typed;
    }
  };
  const same = JSON.stringify(parse(text)) === JSON.stringify(value ?? undefined);
  return (
    <Labelled label={label} error={error}>
      {(attributes) => (
        <input
          {...attributes}
          autocomplete="off"
          value={same ? text : written}
          onInput={(event) => {
            setText(event.currentTarget.value);
            onChange(parse(event.currentTarget.value));
          }}
        />
      )}
    </Labelled>
  );
}
