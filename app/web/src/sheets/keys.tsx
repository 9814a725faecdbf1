/** The keys, and the switch that turns the letters among them off. */

import type { VNode } from "preact";
import { Sheet } from "../parts/sheet";
import { KEYS } from "../state/keys";
import { letterKeys } from "../state/settings";
import { close } from "./close";

const OTHERS: [keys: string[], does: string][] = [
  [["←", "→", "↑", "↓"], "Move among the numbers: units, layers"],
  [["Enter"], "Explain the number"],
  [["Shift", "Enter"], "Edit the number"],
  [["Backspace"], "Back to the number that was explained before"],
  [["Esc"], "Close the sheet, the comparison, the explanation"],
];

export function KeysSheet(): VNode {
  const off = !letterKeys.value;
  return (
    <Sheet title="Keys" class="keys-sheet" onClose={close}>
      <div class="keys-tables">
        <table class={off ? "keys off" : "keys"}>
          <caption class="hidden-text">Letters</caption>
          <tbody>
            {KEYS.map(({ key, does }) => (
              <Row key={key} keys={[key]} does={does} />
            ))}
          </tbody>
        </table>
        <div class="keys-rest">
          <table class="keys">
            <caption class="hidden-text">Other keys</caption>
            <tbody>
              {OTHERS.map(([keys, does]) => (
                <Row key={does} keys={keys} does={does} />
              ))}
            </tbody>
          </table>
          <label class="sheet-check">
            <input type="checkbox" role="switch" checked={!off} onChange={() => (letterKeys.value = off)} />
            Letter keys
          </label>
          <p class="small">Without, only the keys of this second list work. In fields all of them are off, and none needs Ctrl.</p>
        </div>
      </div>
    </Sheet>
  );
}

function Row({ keys, does }: { keys: string[]; does: string }): VNode {
  return (
    <tr>
      <th scope="row">
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </th>
      <td>{does}</td>
    </tr>
  );
}
