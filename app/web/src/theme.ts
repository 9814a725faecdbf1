/** The theme, set before anything is drawn. */

import { effect } from "@preact/signals";
import { theme } from "./state/settings";

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
});
