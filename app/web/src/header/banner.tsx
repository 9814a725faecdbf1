/** Between the stepper and the network: what is wrong with the page as a whole, or why a step was refused. The last state stays below it. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Icon } from "../parts/icon";
import { snapshot, trouble, type Trouble } from "../state/model";
import { RETRY_SECONDS } from "../state/troubles";
import "./banner.css";

/** The controls that have no room of their own for what the API says; others show it where they are. */
const CONTROLS = new Set(["next", "back", "on", "forward", "backward", "update", "step", "rail", "train", "until", "timeline", "fork", "sample", "look"]);

export function Banner(): VNode | null {
  const now = trouble.value;
  if (!now) return snapshot.value ? null : <Loading />;
  if (now.kind === "lost") return <Lost trouble={now} />;
  if (now.kind === "moved") return <Moved trouble={now} />;
  if (now.kind === "expired" || now.kind === "gone") return <Ended trouble={now} />;
  return now.at === null || CONTROLS.has(now.at) ? <Said trouble={now} /> : null;
}

function Loading(): VNode {
  return (
    <p class="banner banner-loading" role="status">
      Loading…
    </p>
  );
}

interface BarProps {
  title: string;
  text: string;
  /** What the server said, word for word. */
  said?: string | undefined;
  children: ComponentChildren;
}

function Bar({ title, text, said, children }: BarProps): VNode {
  return (
    <div class="banner banner-bar" role="alert">
      <Icon name="warning" size={18} />
      <p>
        <b>{title}</b> {text}
      </p>
      <div class="banner-actions">{children}</div>
      {said && <pre class="banner-said">{said}</pre>}
    </div>
  );
}

function Lost({ trouble: { title, detail, retry } }: { trouble: Trouble }): VNode {
  const left = useSignal(RETRY_SECONDS);
  // It starts anew with each answer that does not come.
  useEffect(() => {
    left.value = RETRY_SECONDS;
    const clock = setInterval(() => {
      left.value--;
      if (left.value > 0) return;
      clearInterval(clock);
      retry?.();
    }, 1000);
    return () => clearInterval(clock);
  }, [retry, trouble.value]);
  return (
    <div class="banner banner-bar">
      <Icon name="warning" size={18} />
      <p>
        <span role="alert">
          <b>{title}</b> {detail}
        </span>{" "}
        {left.value > 0 ? `Trying again in ${left.value} s.` : "Trying…"}
      </p>
      <div class="banner-actions">
        <button type="button" class="button" onClick={retry}>
          Retry
        </button>
      </div>
    </div>
  );
}

function Moved({ trouble: { title, detail, retry } }: { trouble: Trouble }): VNode {
  return (
    <Bar title={title} text={detail}>
      <button type="button" class="button" onClick={retry}>
        Load it
      </button>
    </Bar>
  );
}

function Ended({ trouble: { title, detail, said } }: { trouble: Trouble }): VNode {
  const open = useSignal(false);
  const left = `What you see is its last state, revision ${snapshot.value?.revision ?? 0}; nothing more can be computed in it.`;
  return (
    <Bar title={title} text={`${detail} ${left}`} said={open.value ? said : undefined}>
      <button type="button" class="button" onClick={download}>
        Download snapshot
      </button>
      <button type="button" class="button" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        Details
      </button>
    </Bar>
  );
}

/** The numbers on the screen, as the file that the API would have answered. */
function download(): void {
  const now = snapshot.value;
  if (!now) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(now, null, 2)], { type: "application/json" }));
  link.download = `snapshot-revision-${now.revision}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function Said({ trouble: { detail } }: { trouble: Trouble }): VNode {
  return (
    <Bar title="" text={detail}>
      <button type="button" class="button quiet square" aria-label="Dismiss" onClick={() => (trouble.value = null)}>
        <Icon name="cross" />
      </button>
    </Bar>
  );
}
