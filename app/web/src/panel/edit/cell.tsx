/** A number that can be typed over: Enter or leaving it applies, Escape gives up. What is refused stays as it was typed. */

import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import { plain, withMinus } from "../../numbers";
import { TAKES_A_NUMBER, typedNumber } from "../typed";
import { free, locked } from "./editing";

/** Five decimals at most, or three digits of what is smaller, so that it fits. */
const short = (value: number): string =>
  plain(Math.abs(value) >= 1e-4 ? Number(value.toFixed(5)) : Number(value.toPrecision(3)));

export interface CellProps {
  label: string;
  value: number | null | undefined;
  /** All of its digits, not the first few. */
  full?: boolean;
  id?: string;
  /** Does the change, and answers whether it was done. */
  onApply: (value: number) => Promise<boolean>;
}

export function Cell({ label, value, full = false, id, onApply }: CellProps): VNode {
  const [draft, setDraft] = useState<string | null>(null);
  const [refused, setRefused] = useState(false);
  const sent = useRef<string | null>(null);
  const shown = typeof value !== "number" ? "" : full ? withMinus(String(value)) : short(value);
  const apply = async () => {
    const wanted = draft === null ? null : typedNumber(draft);
    if (wanted === undefined) setRefused(true);
    if (wanted === null || (draft === shown && !refused)) setDraft(null);
    if (typeof wanted !== "number" || draft === shown || sent.current === draft) return;
    sent.current = draft;
    await free();
    const done = await onApply(wanted);
    sent.current = null;
    setRefused(!done);
    if (done) setDraft((now) => (now === draft ? null : now));
  };
  return (
    <input
      id={id}
      class="cell"
      inputMode="decimal"
      autocomplete="off"
      aria-label={label}
      aria-invalid={refused ? "true" : undefined}
      aria-disabled={locked.value ? "true" : undefined}
      readOnly={locked.value !== null}
      title={locked.value ?? (refused ? TAKES_A_NUMBER : undefined)}
      value={draft ?? shown}
      onInput={(event) => {
        setDraft(event.currentTarget.value);
        setRefused(false);
      }}
      onBlur={() => void apply()}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          event.preventDefault();
          void apply();
        } else if (event.key === "Escape" && draft !== null) {
          event.preventDefault();
          setDraft(null);
          setRefused(false);
        }
      }}
    />
  );
}
