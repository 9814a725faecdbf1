import { beforeEach, describe, expect, it } from "vitest";
import { hint, KEYS, listen } from "./keys";
import { comparedWith, history, open, panel, selection, session, snapshot, tab, trail, view } from "./model";
import { letterKeys } from "./settings";
import { firstSnapshot } from "./shape";
import type { Revision, Session } from "../types";

listen();
const press = (key: string, more: KeyboardEventInit = {}, target: EventTarget = document.body) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));

beforeEach(() => {
  document.body.replaceChildren();
  snapshot.value = firstSnapshot({ network: { inputs: 1, layers: [{ units: 1 }] }, loss: "mse", optimizer: "sgd" });
  session.value = null;
  history.value = [];
  panel.value = "explain";
  open.value = null;
  selection.value = null;
  letterKeys.value = true;
});

describe("the keys", () => {
  it("are each one thing", () => {
    expect(new Set(KEYS.map(({ key }) => key)).size).toBe(KEYS.length);
  });

  it("open panels and sheets, in either case", () => {
    press("w");
    expect([panel.value, tab.value]).toEqual(["watch", "watch"]);
    press("C");
    expect(panel.value).toBe("check");
    press("?");
    expect(open.value).toBe("keys");
  });

  it("go through the views that fit", () => {
    press("g");
    expect(view.value).not.toBeNull();
  });

  it("are off with Ctrl, in fields, while a key is held, and where they are switched off", () => {
    const field = document.createElement("input");
    document.body.append(field);
    press("w", { ctrlKey: true });
    press("w", { repeat: true });
    press("w", {}, field);
    letterKeys.value = false;
    press("w");
    expect(panel.value).toBe("explain");
  });

  it("say what is missing", () => {
    expect(hint("U")).toBe("There are no gradients yet. Run Backward first. (U)");
    expect(hint(",")).toContain("This is the first revision.");
    expect(hint("N")).toBe("Key: N");
  });

  it("go back before the history has the step that was just taken", () => {
    session.value = { id: "abc", revision: 1 } as Session;
    snapshot.value = { ...snapshot.value!, revision: 1 };
    history.value = [{ revision: 0 } as Revision];
    expect(hint(",")).toBe("Key: ,");
    history.value = [...history.value, { revision: 1 } as Revision];
    expect(hint(".")).toContain("This is the newest revision.");
  });
});

describe("Escape", () => {
  it("closes what is open last", () => {
    selection.value = "loss";
    comparedWith.value = "other";
    open.value = "share";
    press("Escape");
    expect([open.value, comparedWith.value, selection.value]).toEqual([null, "other", "loss"]);
    press("Escape");
    expect([comparedWith.value, selection.value]).toEqual([null, "loss"]);
    press("Escape");
    expect(selection.value).toBeNull();
  });
});

describe("Backspace", () => {
  it("goes back in the trail", () => {
    trail.value = ["loss"];
    selection.value = "output.z[0][0]";
    press("Backspace");
    expect([selection.value, trail.value]).toEqual(["loss", []]);
  });
});
