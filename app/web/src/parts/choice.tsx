/** One of a few: a row of buttons of which one is on. */

import type { VNode } from "preact";

export interface ChoiceProps<T extends string> {
  label: string;
  options: readonly { value: T; text: string; missing?: string | null }[];
  value: T;
  onChoose: (value: T) => void;
}

export function Choice<T extends string>({ label, options, value, onChoose }: ChoiceProps<T>): VNode {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          aria-disabled={option.missing ? "true" : undefined}
          title={option.missing ?? undefined}
          onClick={() => !option.missing && onChoose(option.value)}
        >
          {option.text}
        </button>
      ))}
    </div>
  );
}
