/** What a number means, in one plain sentence. */

import type { ComponentChildren, VNode } from "preact";
import { Symbol } from "../parts/math";
import { parse, tensorName } from "../names";
import { written } from "../numbers";
import { called, type Shape } from "../state/shape";
import type { Explanation } from "../types";

export function Sentence({ explanation, network, full }: { explanation: Explanation; network: Shape; full: boolean }): VNode {
  return <p class="sentence">{sentence(explanation, network, full)}</p>;
}

function sentence({ of, kind, value }: Explanation, network: Shape, full: boolean): ComponentChildren {
  const name = of ?? "";
  const { layer: at, quantity, index } = parse(name);
  const layer = network.layers.find((one) => one.name === at);
  const activation = called(layer?.activation ?? "activation");
  const S = ({ of: what }: { of: string }) => <Symbol of={what} />;
  const entry = (to: string) => `${at}.${to}${index.map((i) => `[${i}]`).join("")}`;
  switch (kind) {
    case "parameter_gradient":
      return slope(<S of={name.replace(".gradient", "")} />, "the loss", value, full);
    case "activation_gradient":
      return slope(<S of={entry("a")} />, "the loss", value, full);
    case "pre_activation_gradient":
      return slope(<S of={entry("z")} />, "the loss", value, full);
    case "derivative":
      return slope(<S of={entry("z")} />, <S of={entry("a")} />, value, full);
    case "pre_activation": {
      const first = network.layers[0]?.name === at;
      const plus = layer?.bias === "none" ? "" : ", plus the bias";
      return `Each ${first ? "input" : "activation of the layer before"} times its weight, added up${plus}.`;
    }
    case "activation":
      if (layer?.activation === "softmax") return "This unit’s share of all the exponentials: they add up to 1.";
      if (layer?.activation === "identity") return <>What this unit passes on: its <S of={entry("z")} /> as it is.</>; // prettier-ignore
      return <>What this unit passes on: the {activation} of its <S of={entry("z")} />.</>; // prettier-ignore
    case "loss":
      return "How wrong the prediction is. Training makes it smaller.";
    case "output":
      return "The prediction: the activation of the last layer.";
    case "input":
      return "It is given: one number of the data.";
    case "target":
      return "It is given: what the prediction should be.";
    case "gradient_norm":
      return "How long all gradients are together, taken as one vector.";
    case "update":
      return tensorName(name).endsWith(".next") ? "What the next update will make of it." : "The last update made it: one step against the gradient.";
    case "slot":
      return "A number that the optimizer keeps between updates.";
    case "edit":
      return "It was set by hand.";
    case "initial":
      return quantity === "bias" || quantity === "weight" ? "What training started from." : "What it started from.";
    default:
      return null;
  }
}

/** "A small change of b¹ changes the loss 0.02836 times as much, in the same direction." */
function slope(by: VNode, what: ComponentChildren, value: number, full: boolean): ComponentChildren {
  if (value === 0) return <>A small change of {by} does not change {what}.</>;
  const direction = value > 0 ? "in the same direction" : "in the opposite direction";
  return <>A small change of {by} changes {what} {written(Math.abs(value), full)} times as much, {direction}.</>; // prettier-ignore
}
