/** A number on the page: a button that says where it comes from. */

import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { inWords } from "../names";
import { fitted, written, type Value } from "../numbers";
import { lit, pointed, select } from "../state/explaining";
import { answered, asked, rows, shown, wrong } from "../state/model";
import { fullPrecision } from "../state/settings";

export interface NumProps {
  of: string;
  /** Its value, where it is not the one in the snapshot on the screen. */
  value?: Value;
  /** In a group with a roving focus, -1 for all but one. */
  tabIndex?: number;
  class?: string;
  /** How many characters there is room for; without it as many as are wanted. */
  most?: number | undefined;
}

const CLASS = /^targets\[\d+\]$/;

export function Num({ of, tabIndex = 0, class: extra = "", most, ...given }: NumProps): VNode {
  const value = "value" in given ? given.value : shown(of);
  const slip = wrong.value.get(of);
  const typed = slip ?? answered.value.get(of);
  const hidden = asked.value.has(of) && typed === undefined;
  // A target without a unit is the number of a class, and whole.
  const isClass = CLASS.test(of);
  const number = most === undefined || isClass ? written(value, isClass || fullPrecision.value) : fitted(value, most);
  const text = typed ?? (hidden ? "–" : number);
  const before = useRef<string | null>(null);
  const changed = before.current !== null && before.current !== text;
  before.current = text;
  const odd = typeof value === "string" && !hidden && typed === undefined;
  const { selected, factors } = lit.value;
  const state = of === selected ? " selected" : factors.has(of) ? " factor" : "";
  const classes = `num ${extra}${state}${pointed.value === of ? " pointed" : ""}${odd ? " odd" : ""}${slip !== undefined ? " wrong" : ""}`;
  const unknown = hidden || value === null || value === undefined;
  const empty = unknown && typed === undefined;
  const say = hidden ? "hidden until you answer" : empty ? "not computed yet" : text;
  return (
    <button
      type="button"
      class={empty ? `${classes} empty` : classes}
      tabIndex={tabIndex}
      data-of={of}
      data-value={unknown ? undefined : String(value)}
      aria-label={`${inWords(of, rows.value?.inputs?.length ?? 1)}: ${say}, explain`}
      aria-pressed={of === selected}
      onClick={() => select(of)}
    >
      <span key={text} class={changed ? "changed" : undefined}>
        {text}
      </span>
    </button>
  );
}
