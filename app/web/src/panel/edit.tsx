/** Edit: change parameters, the optimizer, rows and the name, one revision each. */

import type { VNode } from "preact";
import { comparedWith, shape } from "../state/model";
import { locked } from "./edit/editing";
import { Optimizer } from "./edit/optimizer";
import { Parameters } from "./edit/parameters";
import { Rows } from "./edit/rows";
import { Selected } from "./edit/selected";
import { Title } from "./edit/title";
import "./edit.css";

export function Edit(): VNode | null {
  if (!shape.value) return null;
  return (
    <div class="edit">
      {locked.value && <p class="note">{locked.value}</p>}
      {comparedWith.value && <p class="note">What is changed here is changed in A alone.</p>}
      <Selected />
      <Parameters />
      <Optimizer />
      <Rows />
      <Title />
    </div>
  );
}
