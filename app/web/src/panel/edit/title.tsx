/** The session's name. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { Refusal } from "../../parts/button";
import { editSession } from "../../state/actions";
import { config, session } from "../../state/model";
import { free, locked } from "./editing";

export function Title(): VNode {
  const draft = useSignal<string | null>(null);
  const now = session.value?.name ?? config.value?.name ?? "";
  const apply = async () => {
    const wanted = draft.value?.trim();
    if (wanted === undefined || wanted === now || wanted === "") draft.value = null;
    else {
      await free();
      if (await editSession({ name: wanted }, "edit-name")) draft.value = null;
    }
  };
  return (
    <section aria-label="Session">
      <h2>Session</h2>
      <label class="field">
        <span>Name</span>
        <input
          maxLength={200}
          autocomplete="off"
          aria-disabled={locked.value ? "true" : undefined}
          readOnly={locked.value !== null}
          title={locked.value ?? undefined}
          value={draft.value ?? now}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onBlur={() => void apply()}
          onKeyDown={(event) => event.key === "Enter" && void apply()}
        />
      </label>
      <Refusal of="edit-name" />
    </section>
  );
}
