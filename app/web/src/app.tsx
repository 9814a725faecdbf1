/** The page: header, stepper, stage and panel, timeline; the comparison in the stage's place; sheets above. */

import type { VNode } from "preact";
import { Comparison } from "./compare/comparison";
import { Header } from "./header/header";
import { Banner } from "./header/banner";
import { Sheets } from "./header/sheets";
import { KeySheet } from "./sheets/key";
import { Panel } from "./panel/panel";
import { Stage } from "./stage/stage";
import { comparedWith, snapshot, tab } from "./state/model";
import { Stepper } from "./stepper/stepper";
import { Tabs } from "./stepper/tabs";
import { Timeline } from "./timeline/timeline";

export function App(): VNode {
  return (
    <div class="page" data-tab={tab.value} data-ready={snapshot.value ? "" : undefined}>
      <a class="skip" href="#next" onClick={skip}>
        Skip to Next
      </a>
      <Header />
      <Stepper />
      <Banner />
      <main class="stage" aria-label="Network">
        {comparedWith.value ? <Comparison /> : <Stage />}
      </main>
      <Panel />
      <Timeline />
      <Tabs />
      <Sheets />
      <KeySheet />
    </div>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("next")?.focus();
}
