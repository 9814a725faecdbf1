import { describe, expect, it } from "vitest";
import { readNpy } from "./npy";

function npy(descr: string, shape: string, data: ArrayLike<number> & { buffer: ArrayBufferLike }, version = 1, fortran = "False"): ArrayBuffer {
  const header = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
  const length = version > 1 ? [header.length, 0, 0, 0] : [header.length, 0];
  const start = [0x93, ...[..."NUMPY"].map((c) => c.charCodeAt(0)), version, 0, ...length, ...[...header].map((c) => c.charCodeAt(0))];
  return new Uint8Array([...start, ...new Uint8Array(data.buffer)]).buffer;
}

describe("readNpy", () => {
  it("reads doubles of two axes, odd ones too", () => {
    const { shape, values } = readNpy(npy("<f8", "(2, 3)", new Float64Array([0.1, -2, NaN, Infinity, -0, 1e-300])));
    expect(shape).toEqual([2, 3]);
    expect([...values]).toEqual([0.1, -2, NaN, Infinity, -0, 1e-300]);
  });

  it("reads floats of one axis, and a number of none", () => {
    expect(readNpy(npy("<f4", "(2,)", new Float32Array([0.5, 0.25])))).toEqual({ shape: [2], values: new Float32Array([0.5, 0.25]) });
    expect(readNpy(npy("<f8", "()", new Float64Array([7])))).toEqual({ shape: [], values: new Float64Array([7]) });
  });

  it("reads a header of version 2", () => {
    expect(readNpy(npy("<f8", "(1, 1)", new Float64Array([3]), 2)).values[0]).toBe(3);
  });

  it("refuses what it cannot read", () => {
    expect(() => readNpy(new TextEncoder().encode('{"value": 1}').buffer as ArrayBuffer)).toThrow("not an .npy file");
    expect(() => readNpy(npy("<i8", "(1,)", new Float64Array(1)))).toThrow("<i8");
    expect(() => readNpy(npy("<f8", "(1, 1)", new Float64Array(1), 1, "True"))).toThrow("Fortran");
  });
});
