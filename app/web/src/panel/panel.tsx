/** The panel beside the stage: four tabs, of which one is open. On a phone it is a sheet over the lower part of the network. */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Icon } from "../parts/icon";
import { panel, selection, tab, type Panel as Name } from "../state/model";
import { phone, wide } from "../state/width";
import { Check } from "./check";
import { Edit } from "./edit";
import { Explain } from "./explain";
import { Splitter } from "./splitter";
import { Watch } from "./watch";

interface Tab {
  name: Name;
  title: string;
  hotkey: string;
  Body: () => VNode | null;
}

const TABS: Tab[] = [
  { name: "explain", title: "Explain", hotkey: "E", Body: Explain },
  { name: "watch", title: "Watch", hotkey: "W", Body: Watch },
  { name: "check", title: "Check", hotkey: "C", Body: Check },
  { name: "edit", title: "Edit", hotkey: "D", Body: Edit },
];

export function Panel(): VNode {
  // Where there is room, Watch is always there, beside the others.
  const tabs = wide.value ? TABS.filter(({ name }) => name !== "watch") : TABS;
  const shown = tabs.find(({ name }) => name === panel.value) ?? tabs[0]!;
  useEffect(keepInSight, [selection.value, tab.value]);
  return (
    <aside class={selection.value === null ? "panel" : "panel with-selection"} aria-label="Details">
      <Splitter />
      <div class="panel-column">
        <TabList tabs={tabs} shown={shown.name} />
        <button type="button" class="button quiet square panel-close" aria-label="Close the details" onClick={() => (tab.value = "network")}>
          <Icon name="cross" />
        </button>
        <div class="panel-body" id="panel-body" role="tabpanel" aria-labelledby={`tab-${shown.name}`} tabIndex={0}>
          <shown.Body />
        </div>
      </div>
      {wide.value && (
        <section class="panel-column" aria-label="Watch">
          <h2 class="panel-title">Watch</h2>
          <div class="panel-body" tabIndex={0} role="group" aria-label="Curves">
            <Watch />
          </div>
        </section>
      )}
    </aside>
  );
}

/** On a phone the panel covers the lower part of the network: what is explained is scrolled to above it. */
function keepInSight(): void {
  if (!phone.value || tab.value !== "explain" || selection.value === null) return;
  const found = document.querySelector(`.stage [data-of="${CSS.escape(selection.value)}"]`);
  found?.scrollIntoView({ block: "start", inline: "nearest" });
}

function TabList({ tabs, shown }: { tabs: Tab[]; shown: Name }): VNode {
  const to = (chosen: Name) => {
    panel.value = chosen;
    tab.value = chosen;
  };
  function move(event: KeyboardEvent): void {
    const at = tabs.findIndex(({ name }) => name === shown);
    const places: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 };
    const wanted = places[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    const { name } = tabs[wanted % tabs.length]!;
    to(name);
    document.getElementById(`tab-${name}`)?.focus();
  }
  return (
    <div class="panel-tabs" role="tablist" aria-label="Details" onKeyDown={move}>
      {tabs.map(({ name, title, hotkey }) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`tab-${name}`}
          aria-selected={name === shown}
          aria-controls="panel-body"
          aria-keyshortcuts={hotkey}
          tabIndex={name === shown ? 0 : -1}
          title={`Key: ${hotkey}`}
          onClick={() => to(name)}
        >
          {title}
          <kbd class="key" aria-hidden="true">
            {hotkey}
          </kbd>
        </button>
      ))}
    </div>
  );
}
