/** A button that copies text, and says that it did. */

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { toClipboard } from "./clipboard";

const SAID_MS = 2000;

export interface CopyButtonProps {
  /** What is copied; made when it is asked for. */
  text: () => string | Promise<string>;
  class?: string;
  children: ComponentChildren;
}

export function CopyButton({ text, class: extra = "", children }: CopyButtonProps): VNode {
  const [said, say] = useState("");
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => say(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => say((await toClipboard(await text())) ? "Copied" : "Copying is not allowed here");
  return (
    <button type="button" class={`button ${extra}`} onClick={() => void copy()}>
      {said || children}
      <span class="hidden-text" role="status">
        {said}
      </span>
    </button>
  );
}
