import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Film, FRAMES } from "./film";

let frames: (() => void)[] = [];
const tick = () => frames.splice(0).forEach((frame) => frame());
beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (frame: () => void) => frames.push(frame));
});
afterEach(() => vi.unstubAllGlobals());

function film({ cut = () => false, atOnce = false }: { cut?: () => boolean; atOnce?: boolean } = {}) {
  const shown: number[][] = [];
  return { shown, film: new Film<number>((items) => shown.push(items), cut, () => atOnce) };
}

test("one item is shown a frame, and all of them before it is over", async () => {
  const { shown, film: it } = film();
  [1, 2, 3].forEach((item) => it.add(item));
  let over = false;
  void it.shown().then(() => (over = true));
  tick();
  expect(shown).toEqual([[1]]);
  tick();
  await Promise.resolve();
  expect(over).toBe(false);
  tick();
  await Promise.resolve();
  expect(shown).toEqual([[1], [2], [3]]);
  expect(over).toBe(true);
  expect(it.last).toBe(3);
});

test("what comes faster than that is shown together, so that it lags no more than its length", () => {
  const { shown, film: it } = film();
  for (let item = 0; item < FRAMES + 50; item++) it.add(item);
  tick();
  expect(shown[0]).toHaveLength(50);
  tick();
  expect(shown[1]).toHaveLength(1);
});

test("a film that is cut shows no more, and ends", async () => {
  let isCut = false;
  const { shown, film: it } = film({ cut: () => isCut });
  [1, 2, 3].forEach((item) => it.add(item));
  tick();
  isCut = true;
  const over = it.shown();
  tick();
  await over;
  expect(shown).toEqual([[1]]);
  expect(it.last).toBe(1);
});

test("without motion everything is shown at once", () => {
  const { shown, film: it } = film({ atOnce: true });
  [1, 2, 3].forEach((item) => it.add(item));
  tick();
  expect(shown).toEqual([[1, 2, 3]]);
});

test("it goes on when more comes after it had stood still", async () => {
  const { shown, film: it } = film();
  it.add(1);
  tick();
  await it.shown();
  it.add(2);
  tick();
  expect(shown).toEqual([[1], [2]]);
});
