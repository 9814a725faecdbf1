import { beforeEach, describe, expect, it } from "vitest";
import { Refused, Unreachable } from "../client";
import type { Problem, Session } from "../types";
import { again, attempt, explained, inFull, onReload } from "./troubles";
import { busy, expired, session, trouble } from "./model";

const problem = (status: number, type: string, more: Partial<Problem> = {}): Problem => ({
  type: `/v1/problems/${type}`, title: "A title", status, detail: "a detail", instance: "/v1/sessions/abc/step", ...more,
}); // prettier-ignore

beforeEach(() => {
  session.value = { id: "abc" } as Session;
  trouble.value = null;
});

describe("what a refusal means", () => {
  it("is said at its control", () => {
    expect(explained(problem(409, "wrong-phase"), "step")).toMatchObject({ kind: "refused", at: "step", detail: "a detail" });
  });

  it("is the end of the session on the screen, but not of another", () => {
    const gone = problem(404, "session-not-found");
    expect(explained(gone, "next").kind).toBe("gone");
    session.value = { id: "other" } as Session;
    expect(explained(gone, "next").kind).toBe("refused");
    session.value = null;
    expect(explained(gone, null).kind).toBe("refused");
  });

  it("is an expiry with its time", () => {
    const said = explained(problem(410, "session-expired", { expired_at: "2026-01-01T14:05:00Z" }), "next");
    expect(said).toMatchObject({ kind: "expired", at: null, said: "410 A title\na detail" });
    expect(said.detail).toMatch(/until \d\d:05/);
  });

  it("names the revision that the session has moved on to", () => {
    const said = explained(problem(412, "revision-mismatch", { detail: "the session has moved on: it is at revision 9" }), "next");
    expect(said).toMatchObject({ kind: "moved", title: "This session moved on elsewhere, to revision 9." });
  });

  it("lists the fields", () => {
    const errors = [{ pointer: "/epochs", detail: "takes 1 or more" }, { parameter: "samples", detail: "takes a range" }];
    expect(inFull(problem(422, "invalid-input", { errors }))).toBe("a detail /epochs: takes 1 or more samples: takes a range");
  });

  it("says what is wrong with a whole table once", () => {
    const wrong = problem(422, "invalid-input", { detail: "line 2: got class 9", errors: [{ pointer: "", detail: "line 2: got class 9" }] });
    expect(inFull(wrong)).toBe("line 2: got class 9");
  });
});

describe("an attempt", () => {
  const refuse = () => Promise.reject(new Refused(problem(409, "wrong-phase")));

  it("says whether it was done, and what was in its way", async () => {
    expect(await attempt("next", async () => undefined)).toBe(true);
    expect(await attempt("next", refuse)).toBe(false);
    expect(trouble.value).toMatchObject({ kind: "refused", at: "next" });
    expect(busy.value).toBeNull();
  });

  it("waits for what was pressed before it, so that no step is lost", async () => {
    const done: string[] = [];
    let finish = () => {};
    const first = attempt("next", () => new Promise<void>((resolve) => (finish = resolve)).then(() => void done.push("first")));
    const second = attempt("next", async () => void done.push("second"));
    await Promise.resolve();
    expect(busy.value).toBe("next");
    finish();
    expect([await first, await second]).toEqual([true, true]);
    expect(done).toEqual(["first", "second"]);
  });

  it("goes on after one that failed", async () => {
    const first = attempt("next", refuse);
    expect(await attempt("train", async () => undefined)).toBe(true);
    expect(await first).toBe(false);
  });

  it("is not begun twice by a control that makes things", async () => {
    let made = 0;
    const make = async () => void made++;
    expect(await Promise.all([attempt("fork", make), attempt("fork", make)])).toEqual([true, false]);
    expect(made).toBe(1);
    expect(await attempt("fork", make)).toBe(true);
  });

  it("that is answered ends the loss of the server, and the next one a refusal", async () => {
    await attempt("next", () => Promise.reject(new Unreachable("no")));
    expect(trouble.value?.kind).toBe("lost");
    await attempt("next", refuse);
    await attempt("next", async () => undefined);
    expect(trouble.value).toBeNull();
  });

  it("throws what is a bug", async () => {
    await expect(attempt("next", () => Promise.reject(new TypeError("bug")))).rejects.toThrow("bug");
    expect(busy.value).toBeNull();
  });
});

describe("asking again", () => {
  it("reads the session, and stays lost until that works", async () => {
    let up = false;
    onReload(() => (up ? Promise.resolve() : Promise.reject(new Unreachable("no"))));
    await again();
    expect(trouble.value?.kind).toBe("lost");
    up = true;
    await again();
    expect(trouble.value).toBeNull();
    expect(expired.value).toBe(false);
  });
});
