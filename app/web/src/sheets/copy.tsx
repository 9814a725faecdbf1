/** What was just done, as text to run elsewhere: a shell command, Python, or the session in PyTorch. */

import { useSignal, useSignalEffect } from "@preact/signals";
import type { VNode } from "preact";
import { Refused } from "../client";
import { key } from "../key";
import { Choice } from "../parts/choice";
import { Sheet } from "../parts/sheet";
import { asCurl, asPython, type Call } from "../share/calls";
import { CopyButton } from "../share/copy-button";
import { pytorch } from "../share/files";
import { config, lastCall, revision, session } from "../state/model";
import { report } from "../state/troubles";
import { close } from "./close";

type Form = "curl" | "python" | "pytorch";
/** So much of a text is shown; all of it is copied. */
const SHOWN = 8000;

/** The call that was made last; that which makes or reads the session, where none was. */
function call(): Call {
  if (lastCall.value) return lastCall.value;
  if (session.value) return { method: "GET", path: `/v1/sessions/${session.value.id}/snapshot` };
  return { method: "POST", path: "/v1/sessions", body: config.value ?? {} };
}

export function CopySheet(): VNode {
  const form = useSignal<Form>("curl");
  const script = useSignal<string | null>(null);
  useSignalEffect(() => {
    void revision.value;
    if (form.value !== "pytorch" || !session.value) return;
    pytorch()
      .then((text) => (script.value = text))
      .catch((error: unknown) => {
        script.value = error instanceof Refused ? `# ${error.message}` : "# No answer from the server.";
        report(error, null);
      });
  });
  const made = form.value === "pytorch" ? script.value : (form.value === "curl" ? asCurl : asPython)(call(), location.origin, key.value !== null);
  return (
    <Sheet title="Copy as…" class="copy-sheet" onClose={close}>
      <div class="sheet-form">
        <Choice
          label="As"
          options={[
            { value: "curl", text: "curl" },
            { value: "python", text: "Python (httpx)" },
            { value: "pytorch", text: "PyTorch", missing: session.value ? null : "There is no session yet. Press Next first." },
          ]}
          value={form.value}
          onChoose={(to) => (form.value = to)}
        />
        <p class="small">{form.value === "pytorch" ? "The session as it stands, and its next step, in PyTorch." : said()}</p>
        <pre class="copy-text" tabIndex={0} aria-label="The text">
          {made === null ? "Computing…" : made.length > SHOWN ? `${made.slice(0, SHOWN)}\n… (all of it is copied)` : made}
        </pre>
        <div class="sheet-foot">
          <CopyButton class="next" text={() => made ?? pytorch()}>
            Copy
          </CopyButton>
        </div>
      </div>
    </Sheet>
  );
}

function said(): string {
  const of =
    lastCall.value ? "The last change of this session, as a call that can be run again."
    : session.value ? "Nothing was changed from here yet: this reads the numbers on the screen." : "The first press makes this call."; // prettier-ignore
  return key.value === null ? of : `${of} It takes your key from the variable GRADSTEP_KEY.`;
}
