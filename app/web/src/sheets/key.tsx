/** Asks for the API key, above whatever is open, when the server wants one; the calls that want it wait, and are made again. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { call, Refused, Unreachable } from "../client";
import { asking, carrying, give, key, type Asking } from "../key";
import { Button } from "../parts/button";
import { Sheet } from "../parts/sheet";
import { Labelled } from "../start/schema-form";
import "./sheets.css";

/** What a bearer token may consist of. */
const KEY = /^[\w.~+/-]+=*$/;

export function KeySheet(): VNode | null {
  return asking.value && <Ask problem={asking.value.problem} />;
}

function Ask({ problem }: Pick<Asking, "problem">): VNode {
  const field = useRef<HTMLInputElement>(null);
  // A page that has a key already is told why it has to give another.
  const said = useSignal(key.value === null ? null : problem.detail);
  const trying = useSignal(false);
  const submit = async () => {
    const typed = field.current!.value.trim();
    if (trying.value) return;
    trying.value = true;
    said.value = KEY.test(typed) ? await refusalOf(typed) : "A key has letters, digits and - . _ ~ + / alone.";
    trying.value = false;
    if (said.value === null) give(typed);
    else field.current?.select();
  };
  return (
    <Sheet title={problem.title} class="key-sheet" onClose={() => give(null)}>
      <form
        class="sheet-form"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p>This server answers those who have a key. Whoever runs it gives them out.</p>
        <Labelled label="Key" hint="It is kept while this page is open, and never stored.">
          {(attributes) => <input ref={field} {...attributes} type="password" autocomplete="off" spellcheck={false} required />}
        </Labelled>
        {said.value !== null && (
          <p class="refusal" role="alert">
            {said.value}
          </p>
        )}
        <div class="sheet-foot">
          <Button class="next" submit>
            Use this key
          </Button>
        </div>
      </form>
    </Sheet>
  );
}

/** What the server says against a key; null where it takes it. */
async function refusalOf(one: string): Promise<string | null> {
  try {
    await call("GET", "/v1/sessions?limit=1", { headers: carrying(one) });
    return null;
  } catch (error) {
    if (error instanceof Refused || error instanceof Unreachable) return error.message;
    throw error;
  }
}
