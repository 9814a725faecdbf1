/** What every sheet's Close does. */

import { open } from "../state/model";

export const close = (): void => {
  open.value = null;
};
