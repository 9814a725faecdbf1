/** A link to what is on the screen, and files of it. */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { key } from "../key";
import { Button, Refusal } from "../parts/button";
import { Icon } from "../parts/icon";
import { Sheet } from "../parts/sheet";
import { CopyButton } from "../share/copy-button";
import { FILES, fetchFile, fileName, pytorch, save } from "../share/files";
import { pngOf, svgOf } from "../share/picture";
import { current, write } from "../state/address";
import { ensure } from "../state/actions";
import { session } from "../state/model";
import { attempt } from "../state/troubles";
import { close } from "./close";

export function ShareSheet(): VNode {
  const said = useSignal("");
  const link = session.value ? `${location.origin}${location.pathname}${write(current(true))}` : null;
  const file = (title: string, make: () => Promise<void>) => async () => {
    said.value = "";
    if (await attempt("share", () => ensure().then(make))) said.value = `${title}: saved.`;
  };
  return (
    <Sheet title="Share" class="share-sheet" onClose={close}>
      <h3>Link</h3>
      {link ? (
        <>
          <div class="share-link">
            <input aria-label="Link" readOnly value={link} onFocus={(event) => event.currentTarget.select()} />
            <CopyButton class="next" text={() => link}>
              Copy
            </CopyButton>
          </div>
          <p class="small">
            It opens this session at this revision, with what is selected, and changes nothing there. The session must still be kept
            {key.value === null ? "." : ", and whoever opens it needs your key, which is not in it."}
          </p>
        </>
      ) : (
        <p>There is no session yet. Press Next first, and there is something to link to.</p>
      )}
      <h3>Files</h3>
      <ul class="share-files">
        {FILES.map((one) => (
          <File key={one.title} title={one.title} says={one.says} onPress={file(one.title, () => fetchFile(one))} />
        ))}
        <File
          title="Session, PyTorch"
          says="network, loss, optimizer and rows as a script"
          onPress={file("Session, PyTorch", async () => save(fileName(".py"), new Blob([await pytorch()], { type: "text/x-python" })))}
        />
        <File
          title="Picture, SVG"
          says="the stage, sharp at every size"
          onPress={file("Picture, SVG", async () => save(fileName(".svg"), new Blob([picture()], { type: "image/svg+xml" })))}
        />
        <File title="Picture, PNG" says="the same, for slides" onPress={file("Picture, PNG", async () => save(fileName(".png"), await pngOf(picture())))} />
      </ul>
      <Refusal of="share" />
      <p class="small" role="status">
        {said.value}
      </p>
    </Sheet>
  );
}

/** What the stage shows, without the words round it. */
const picture = (): string => svgOf(document.querySelector(".scene, .compare") ?? document.querySelector("main.stage")!);

function File({ title, says, onPress }: { title: string; says: string; onPress: () => Promise<void> }): VNode {
  return (
    <li>
      <Button onPress={() => void onPress()}>
        <Icon name="download" />
        {title}
      </Button>
      <span class="small">{says}</span>
    </li>
  );
}
