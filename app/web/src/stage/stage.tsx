/** The network: what just happened in a sentence, the view, and below it what the view's marks mean. */

import type { VNode } from "preact";
import { fitsCards, shownView, snapshot } from "../state/model";
import { hasPicture } from "../state/plane";
import { Boundary } from "./boundary";
import { Foot } from "./foot";
import { Graph } from "./graph";
import { drawn } from "./graph-model";
import { Maps } from "./maps";
import { Narrator } from "./narrator";
import { Numbers } from "./numbers";
import "./stage.css";

export function Stage(): VNode | null {
  if (!snapshot.value) return null;
  return (
    <>
      <Narrator />
      <div class="scene">
        <View />
      </div>
      <Foot />
    </>
  );
}

function View(): VNode {
  if (shownView.value === "numbers") return <Numbers />;
  if (shownView.value === "maps") return <Maps />;
  const low = drawn.value?.drawing.cards === false ? " low" : "";
  const pictured = hasPicture.value ? ` pictured ${fitsCards.value ? "by-cards" : "by-tiles"}${low}` : "";
  return (
    <div class={`network${pictured}`}>
      <Graph />
      {hasPicture.value && (
        <div class="picture">
          <Boundary />
        </div>
      )}
    </div>
  );
}
