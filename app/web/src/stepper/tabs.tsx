/** On a phone, which has room for one thing: which one. */

import type { VNode } from "preact";
import { panel, tab, type Tab } from "../state/model";

const TABS: { name: Tab; title: string }[] = [
  { name: "network", title: "Network" },
  { name: "explain", title: "Explain" },
  { name: "watch", title: "Watch" },
  { name: "check", title: "Check" },
  { name: "time", title: "Time" },
];

export function Tabs(): VNode {
  const to = (name: Tab) => {
    tab.value = name;
    if (name !== "network" && name !== "time") panel.value = name;
  };
  return (
    <nav class="tabs" aria-label="Show">
      {TABS.map(({ name, title }) => (
        <button key={name} type="button" aria-pressed={name === tab.value} onClick={() => to(name)}>
          {title}
        </button>
      ))}
    </nav>
  );
}
