/** A sheet above the page: a native dialog, which keeps the focus inside and gives it back. */

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon";

export interface SheetProps {
  title: string;
  onClose: () => void;
  class?: string;
  children: ComponentChildren;
}

export function Sheet({ title, onClose, class: extra = "", children }: SheetProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current!;
    element.showModal();
    // What a person came for has the focus: a form's first field, or the one filled button.
    (element.querySelector<HTMLElement>("form input, form select, .button.next:not([aria-disabled])") ?? element).focus();
    return () => element.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      class={`sheet ${extra}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="sheet-body">
        <header class="sheet-head">
          <h2>{title}</h2>
          <button type="button" class="button quiet square" aria-label="Close" onClick={onClose}>
            <Icon name="cross" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
