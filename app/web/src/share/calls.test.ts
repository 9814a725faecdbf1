import { describe, expect, it } from "vitest";
import { asCurl, asPython, literal } from "./calls";

const ORIGIN = "http://127.0.0.1:8000";

describe("a call as a command", () => {
  it("has an absolute address and the body as it is sent", () => {
    expect(asCurl({ method: "POST", path: "/v1/sessions/a/forward", body: { until: "hidden" } }, ORIGIN)).toBe(
      `curl -X POST 'http://127.0.0.1:8000/v1/sessions/a/forward' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"until":"hidden"}'\n`,
    );
  });
  it("is a plain curl where it only reads", () => {
    expect(asCurl({ method: "GET", path: "/v1/sessions/a" }, ORIGIN)).toBe("curl 'http://127.0.0.1:8000/v1/sessions/a'\n");
  });
  it("lets nothing in a name out of the quotes", () => {
    expect(asCurl({ method: "PATCH", path: "/v1/sessions/a", body: { name: "it's $HOME" } }, ORIGIN)).toContain(
      `-d '{"name":"it'\\''s $HOME"}'`,
    );
  });
  it("sends a table from a file", () => {
    const body = new Blob(["x,y\n"], { type: "text/csv" });
    expect(asCurl({ method: "PUT", path: "/v1/sessions/a/data", body }, ORIGIN)).toContain(
      "-H 'Content-Type: text/csv' \\\n  --data-binary @rows.csv",
    );
  });
});

describe("a call that needs a key", () => {
  const call = { method: "PUT", path: "/v1/sessions/a/data", body: new Blob(["x,y\n"], { type: "text/csv" }) };
  it("takes it from a variable, in a shell and in Python", () => {
    expect(asCurl({ method: "GET", path: "/v1/sessions/a" }, ORIGIN, true)).toBe(
      `curl 'http://127.0.0.1:8000/v1/sessions/a' \\\n  -H "Authorization: Bearer $GRADSTEP_KEY"\n`,
    );
    expect(asPython({ method: "GET", path: "/v1/sessions/a" }, ORIGIN, true)).toBe(
      `import os\n\nimport httpx\n\nanswer = httpx.get(\n    "http://127.0.0.1:8000/v1/sessions/a",\n` +
        `    headers={"Authorization": f"Bearer {os.environ['GRADSTEP_KEY']}"},\n)\nanswer.raise_for_status()\nprint(answer.json())\n`,
    );
  });
  it("has its other headers beside it", () => {
    expect(asCurl(call, ORIGIN, true)).toContain(`-H "Authorization: Bearer $GRADSTEP_KEY" \\\n  -H 'Content-Type: text/csv'`);
    expect(asPython(call, ORIGIN, true)).toContain(
      `headers={"Authorization": f"Bearer {os.environ['GRADSTEP_KEY']}", "Content-Type": "text/csv"},`,
    );
  });
});

describe("a call as Python", () => {
  it("has Python's own words for what JSON has", () => {
    const body = { shuffle: true, stop: null, trainable: false, epochs: 3 };
    expect(asPython({ method: "POST", path: "/v1/sessions/a/forward", body }, ORIGIN)).toContain(
      `    json={"shuffle": True, "stop": None, "trainable": False, "epochs": 3},\n`,
    );
  });
  it("waits for a training", () => {
    expect(asPython({ method: "POST", path: "/v1/sessions/a/train", body: {} }, ORIGIN)).toContain("timeout=None");
    expect(asPython({ method: "POST", path: "/v1/sessions/a/forward" }, ORIGIN)).not.toContain("timeout");
  });
  it("leaves out what is not sent, and breaks what is long", () => {
    expect(literal({ a: undefined, b: 1 })).toBe('{"b": 1}');
    expect(literal({ weights: Array(40).fill(0.5), bias: [0.1] })).toBe(
      `{\n    "weights": [\n${"        0.5,\n".repeat(40)}    ],\n    "bias": [0.1],\n}`,
    );
  });
});
