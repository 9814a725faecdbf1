/** Other networks: presets to start from, sessions to go back to. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { call } from "../client";
import { Button, Refusal } from "../parts/button";
import { Sheet } from "../parts/sheet";
import { Presets } from "../panel/lesson";
import { editSession, openSession, removeSession } from "../state/actions";
import { session } from "../state/model";
import { attempt } from "../state/troubles";
import type { SessionItem } from "../types";
import { close } from "./close";
import { ownAndOthers, readSessions, sessions, standing } from "./session-list";

export function SessionsSheet(): VNode {
  useEffect(() => void readSessions(), []);
  const { own, others } = ownAndOthers();
  return (
    <Sheet title="Sessions" class="sessions-sheet" onClose={close}>
      <Presets title="Start from" onStarted={close} />
      <Refusal of="sessions" />
      <List title="Of this browser" items={own} empty={sessions.value ? "None yet: the first press on Next makes one." : "Computing…"} />
      {others.length > 0 && <List title="Others on this server" items={others} />}
    </Sheet>
  );
}

function List({ title, items, empty = "" }: { title: string; items: SessionItem[]; empty?: string }): VNode {
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      {items.length ? (
        <ul class="session-list">
          {items.map((item) => (
            <Item key={item.id} item={item} />
          ))}
        </ul>
      ) : (
        <p class="small">{empty}</p>
      )}
    </section>
  );
}

type Doing = "rename" | "remove" | null;

function Item({ item }: { item: SessionItem }): VNode {
  const doing = useSignal<Doing>(null);
  const here = item.id === session.value?.id;
  const name = item.name ?? item.id.slice(0, 8);
  const go = async () => {
    if (await attempt("sessions", () => openSession(item.id))) close();
  };
  const remove = async () => {
    if (doing.value !== "remove") doing.value = "remove";
    else if (await removeSession(item.id)) await readSessions();
  };
  return (
    <li class="session-item">
      {doing.value === "rename" ? (
        <Rename item={item} name={name} onDone={() => (doing.value = null)} />
      ) : (
        <>
          <button type="button" class="session-open" aria-current={here ? "true" : undefined} onClick={() => void go()}>
            <strong>{name}</strong>
            <span class="small">
              {here ? "open now, " : ""}
              {standing(item)}
            </span>
          </button>
          <Button class="quiet" label={`Rename ${name}`} onPress={() => (doing.value = "rename")}>
            Rename
          </Button>
          <span onBlurCapture={() => doing.value === "remove" && (doing.value = null)}>
            <Button
              class="quiet danger"
              label={doing.value === "remove" ? `Really delete ${name}?` : `Delete ${name}`}
              onPress={() => void remove()}
            >
              {doing.value === "remove" ? "Really delete?" : "Delete"}
            </Button>
          </span>
        </>
      )}
    </li>
  );
}

function Rename({ item, name, onDone }: { item: SessionItem; name: string; onDone: () => void }): VNode {
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    field.current!.focus(); // before the next key
    field.current!.select();
  }, []);
  const rename = async () => {
    const to = field.current!.value.trim();
    const path = `/v1/sessions/${item.id}`;
    const change = () => call("PATCH", path, { body: { name: to } }).then(() => undefined);
    const done = to === "" || to === name || (item.id === session.value?.id ? await editSession({ name: to }) : await attempt("sessions", change));
    if (!done) return;
    onDone();
    await readSessions();
  };
  return (
    <form
      class="session-rename"
      onSubmit={(event) => {
        event.preventDefault();
        void rename();
      }}
    >
      <input
        ref={field}
        aria-label={`New name of ${name}`}
        maxLength={200}
        defaultValue={name}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault(); // it leaves the field, and not the sheet
          event.stopPropagation();
          onDone();
        }}
      />
      <Button submit>Rename</Button>
    </form>
  );
}
