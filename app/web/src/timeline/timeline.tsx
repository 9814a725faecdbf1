/** Where the session stands in its past; a strip on which any of it can be stood at again; a fork and a comparison from there. */

import type { VNode } from "preact";
import { ComparisonTimeline } from "../compare/timeline";
import { count } from "../numbers";
import { Button } from "../parts/button";
import { Icon } from "../parts/icon";
import { fork } from "../state/actions";
import { comparedWith, expired, looking, open, session, snapshot, training } from "../state/model";
import { phone } from "../state/width";
import { Revisions } from "./revisions";
import { Strip } from "./strip";
import "./timeline.css";

export function Timeline(): VNode {
  if (comparedWith.value) return <ComparisonTimeline />;
  return (
    <section class="timeline" aria-label="Timeline">
      <Standing />
      <Strip />
      {session.value && !training.value && !expired.value && (
        <div class="time-actions">
          <Button control="fork" hotkey="K" onPress={() => void fork()}>
            <Icon name="fork" /> Fork here
          </Button>
          <Button class="time-compare" hotkey="X" expanded={open.value === "compare"} onPress={() => (open.value = "compare")}>
            Compare…
          </Button>
        </div>
      )}
      {phone.value && <Revisions />}
    </section>
  );
}

function Standing(): VNode {
  const { place, phase } = standing();
  return (
    <p class="time-standing">
      <b>{place}</b>
      <span>{phase}</span>
    </p>
  );
}

function standing(): { place: string; phase: string } {
  const now = snapshot.value;
  if (!now || !session.value) return { place: "Not started", phase: "Forward starts it" };
  if (training.value) return { place: `Revision ${now.revision}`, phase: "run in progress" };
  const { revision, latest_revision: latest, epochs } = session.value;
  const { epoch } = looking.value ?? {};
  const newest = now.revision === latest;
  const place =
    epoch !== undefined ? `Epoch ${count(epoch)} of ${count(Math.max(epoch, epochs))}`
    : newest ? `Revision ${now.revision}` : `Revision ${now.revision} of ${latest}`; // prettier-ignore
  if (expired.value) return { place, phase: "last known state" };
  if (looking.value) return { place, phase: revision === now.revision ? "looking" : `standing at revision ${revision}` };
  const at = now.phase === "ready" && now.epochs > 0 ? `epoch ${count(now.epochs)}` : now.phase;
  return { place, phase: `${at} · step ${count(now.steps)}` };
}
