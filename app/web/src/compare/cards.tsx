/** How A and B stand, with the settings that differ marked in B. */

import type { ComponentChildren, VNode } from "preact";
import { count, plain, written } from "../numbers";
import { Button } from "../parts/button";
import { session, snapshot, training } from "../state/model";
import type { Session } from "../types";
import { setting } from "./setting";
import { difference, epochA, openAlone, other, underWay } from "./state";

export function Cards(): VNode {
  const a = session.value!;
  const b = other.value!.session;
  return (
    <div class="compare-cards">
      <Card side="A" of={{ ...a, epochs: epochA(), loss: training.value?.loss ?? snapshot.value?.loss ?? a.loss }} />
      <Card side="B" of={b} />
    </div>
  );
}

function Card({ side, of }: { side: "A" | "B"; of: Session }): VNode {
  const name = of.name ?? of.id.slice(0, 8);
  const { optimizer } = of.config;
  const rate = typeof optimizer === "object" && typeof optimizer.learning_rate === "number" ? optimizer.learning_rate : null;
  const changed = side === "B" ? (difference.value?.config ?? []) : [];
  const was = changed.find(({ pointer }) => pointer === "/optimizer/learning_rate");
  const more = changed.filter((one) => one !== was).slice(0, 2);
  return (
    <section class="compare-card" aria-label={`${side}, ${name}`}>
      <h2>
        <span class={`compare-mark ${side.toLowerCase()}`}>{side}</span>
        <span class="compare-title">{name}</span>
        <Button label={`Open ${side} alone`} missing={underWay()} onPress={() => openAlone(of.id)}>
          Open alone
        </Button>
      </h2>
      <dl>
        <Fact name="revision">{count(of.revision)}</Fact>
        <Fact name="epoch">{count(of.epochs)}</Fact>
        <Fact name="loss">{written(of.loss)}</Fact>
        {rate !== null && (
          <Fact name="η">
            {was ? <mark>{plain(rate)}</mark> : plain(rate)}
            {was && <span class="small"> A has {setting(was.against)}</span>}
          </Fact>
        )}
        {more.map(({ pointer, value }) => (
          <Fact key={pointer} name={pointer.split("/").slice(-1)[0]!.replaceAll("_", " ")}>
            <mark>{setting(value)}</mark>
          </Fact>
        ))}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
