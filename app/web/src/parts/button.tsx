/** A button with its key; what cannot be done now is said in its tool tip, and it stays in the order of focus. */

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { busy, trouble } from "../state/model";
import { hint, KEYS } from "../state/keys";

const SPIN_AFTER_MS = 300;

export interface ButtonProps {
  id?: string;
  /** What `busy` and `trouble` call it. */
  control?: string;
  hotkey?: string;
  class?: string;
  /** Why it cannot be pressed, where no key says so. */
  missing?: string | null;
  label?: string;
  pressed?: boolean;
  expanded?: boolean;
  /** It submits the form that it is in, which then does what is to be done. */
  submit?: boolean;
  onPress?: () => void;
  children: ComponentChildren;
}

export function Button({ id, control, hotkey, class: extra = "", missing = null, label, pressed, expanded, submit, onPress, children }: ButtonProps): VNode {
  const waiting = useSlow(control !== undefined && busy.value === control);
  const why = missing ?? (hotkey ? (KEYS.find(({ key }) => key === hotkey)?.missing() ?? null) : null);
  return (
    <button
      id={id}
      type={submit ? "submit" : "button"}
      class={`button ${extra}${waiting ? " waiting" : ""}`}
      aria-disabled={why ? "true" : undefined}
      aria-label={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-busy={waiting ? "true" : undefined}
      aria-keyshortcuts={hotkey}
      title={hotkey && !missing ? hint(hotkey) : (why ?? undefined)}
      onClick={() => !why && onPress?.()}
    >
      {children}
      {hotkey && (
        <kbd class="key" aria-hidden="true">
          {hotkey}
        </kbd>
      )}
    </button>
  );
}

/** True once something has been going on for so long that a person wonders. */
function useSlow(going: boolean): boolean {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    if (!going) {
      setSlow(false);
      return undefined;
    }
    const timer = setTimeout(() => setSlow(true), SPIN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [going]);
  return slow && going;
}

/** What the API said of the last call of a control, where it was refused; `say` puts it into the page's words. */
export function Refusal({ of, say = String }: { of: string | string[]; say?: (detail: string) => string }): VNode | null {
  const said = trouble.value;
  if (said?.kind !== "refused" || said.at === null || ![of].flat().includes(said.at)) return null;
  return (
    <p class="refusal" role="alert">
      {say(said.detail)}
    </p>
  );
}
