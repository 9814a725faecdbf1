import { expect, it } from "vitest";
import { placeAt } from "./state";

it("stands as near to an epoch as a session's own past allows", () => {
  const first = { revision: 2, epochs: 35 };
  expect(placeAt(60, first, { epochs: 200 })).toEqual({ epoch: 60 });
  expect(placeAt(300, first, { epochs: 200 })).toEqual({ epoch: 200 });
  expect(placeAt(10, first, { epochs: 200 })).toEqual({ revision: 2 });
});
