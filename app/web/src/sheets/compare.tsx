/** Which session to compare this one with: a fork of it, made now, or another. */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Button, Refusal } from "../parts/button";
import { Icon } from "../parts/icon";
import { Sheet } from "../parts/sheet";
import { fork } from "../state/actions";
import { comparedWith, session, snapshot } from "../state/model";
import { close } from "./close";
import { ownAndOthers, readSessions, sessions, standing } from "./session-list";

export function CompareSheet(): VNode {
  useEffect(() => void readSessions(), []);
  const here = session.value?.id;
  const { own, others } = ownAndOthers();
  const rest = [...own, ...others].filter(({ id }) => id !== here);
  const name = session.value?.name ?? "session";
  const begin = async () => {
    if (await fork(`${name}, B`, "compare")) close();
  };
  return (
    <Sheet title="Compare" class="compare-sheet" onClose={close}>
      <div class="sheet-form">
        <p>
          A fork of <strong>{name}</strong> begins where this session stands. Change the learning rate of one of them, train both, and see
          where they part.
        </p>
        <Button class="next" control="fork" missing={here ? null : "There is no session yet. Press Next first."} onPress={() => void begin()}>
          <Icon name="fork" />
          Fork at epoch {snapshot.value?.epochs ?? 0} and compare
        </Button>
        <Refusal of={["fork", "sessions"]} />
        <h3>Or compare with</h3>
        {rest.length ? (
          <ul class="session-list">
            {rest.map((item) => (
              <li key={item.id} class="session-item">
                <button
                  type="button"
                  class="session-open"
                  onClick={() => {
                    comparedWith.value = item.id;
                    close();
                  }}
                >
                  <strong>{item.name ?? item.id.slice(0, 8)}</strong>
                  <span class="small">
                    {item.forked_from?.session === here ? `forked from here at revision ${item.forked_from?.revision}, ` : ""}
                    {standing(item)}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        ) : (
          <p class="small">{sessions.value ? "There is no other session." : "Computing…"}</p>
        )}
      </div>
    </Sheet>
  );
}
