/** A config as JSON, with line numbers; what is wrong is marked at its line, and said below. */

import type { VNode } from "preact";
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Config } from "../types";
import { lineOf, pretty, scan } from "./json-lines";
import type { FieldError } from "./schema";

const MOST_LINES = 5000;

export function ConfigJson({ config, fault, errors }: {
  config: Signal<Config>;
  fault: Signal<string | null>;
  errors: readonly FieldError[];
}): VNode {
  const text = useSignal(pretty(config.value));
  const own = useRef(config.value);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (config.value === own.current) return;
    own.current = config.value; // changed elsewhere: by "Begin with"
    text.value = pretty(config.value);
    fault.value = null;
  }, [config.value]);
  const type = (typed: string) => {
    text.value = typed;
    const found = scan(typed);
    fault.value = "fault" in found ? `Line ${found.fault.line}: ${found.fault.detail}` : null;
    if ("value" in found) config.value = own.current = found.value as Config;
  };
  const scanned = scan(text.value);
  const marks =
    "fault" in scanned ? [{ line: scanned.fault.line, said: scanned.fault.detail }]
    : errors.map(({ pointer, detail }) => ({ line: lineOf(pointer ?? "", scanned.lines), said: `${pointer ?? ""} ${detail}`.trim() })); // prettier-ignore
  const lines = text.value.split("\n");
  const goTo = (line: number) => {
    const at = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0); // prettier-ignore
    area.current?.focus();
    area.current?.setSelectionRange(at, at + lines[line - 1]!.length);
  };
  return (
    <div class="json">
      <div class="json-editor">
        {lines.length <= MOST_LINES && (
          <ol class="json-lines" aria-hidden="true">
            {lines.map((_, i) => (
              <li key={i} class={marks.some(({ line }) => line === i + 1) ? "bad" : undefined}>
                {i + 1}
              </li>
            ))}
          </ol>
        )}
        <textarea
          ref={area}
          class="code"
          aria-label="Config as JSON"
          aria-invalid={marks.length ? "true" : undefined}
          aria-describedby="json-marks"
          spellcheck={false}
          wrap="off"
          rows={lines.length}
          value={text.value}
          onInput={(event) => type(event.currentTarget.value)}
        />
      </div>
      <ul id="json-marks" class="json-marks">
        {marks.map(({ line, said }) => (
          <li key={`${line}${said}`}>
            <button type="button" class="button quiet" onClick={() => goTo(line)}>
              Line {line}
            </button>
            <span>{said}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
