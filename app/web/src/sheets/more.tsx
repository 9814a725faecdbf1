/** On a phone: everything for which the header and the stepper have no room. */

import type { VNode } from "preact";
import { Button } from "../parts/button";
import { Choice } from "../parts/choice";
import { Sheet } from "../parts/sheet";
import { fork, pressWholeStep } from "../state/actions";
import { open, panel, session, tab } from "../state/model";
import { missing } from "../state/next";
import { fullPrecision, theme } from "../state/settings";
import { train, trainOptions } from "../state/training";
import { close } from "./close";

const THEMES = [
  { value: "system", text: "System" },
  { value: "light", text: "Light" },
  { value: "dark", text: "Dark" },
] as const;

export function MoreSheet(): VNode {
  const none = session.value ? null : "There is no session yet. Press Next first.";
  const to = (sheet: NonNullable<typeof open.value>) => () => (open.value = sheet);
  const doing = (act: () => unknown) => () => {
    close();
    void act();
  };
  return (
    <Sheet title="More" class="more-sheet" onClose={close}>
      <div class="more-group" role="group" aria-label="Steps">
        <Button missing={missing("forward")} onPress={doing(pressWholeStep)}>Whole step</Button>
        <Button missing={missing("train")} onPress={doing(train)}>Train {trainOptions.value.epochs}</Button>
        <Button missing={missing("train")} onPress={to("train")}>Train…</Button>
        <Button missing={missing("train")} onPress={to("until")}>Run until…</Button>
        <Button onPress={doing(() => (panel.value = tab.value = "edit"))}>Edit…</Button>
      </div>
      <div class="more-group" role="group" aria-label="Sessions">
        <Button onPress={to("sessions")}>Sessions…</Button>
        <Button onPress={to("new")}>New…</Button>
        <Button missing={none} onPress={doing(() => fork())}>Fork here</Button>
        <Button missing={none} onPress={to("compare")}>Compare…</Button>
        <Button onPress={to("copy")}>Copy as…</Button>
        <Button onPress={to("share")}>Share…</Button>
      </div>
      <div class="more-rest">
        <Choice label="Theme" options={THEMES} value={theme.value} onChoose={(chosen) => (theme.value = chosen)} />
        <label class="sheet-check">
          <input type="checkbox" checked={fullPrecision.value} onChange={() => (fullPrecision.value = !fullPrecision.value)} />
          Full precision
        </label>
        <Button class="quiet" onPress={to("keys")}>Keys</Button>
      </div>
    </Sheet>
  );
}
