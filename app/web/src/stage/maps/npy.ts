/** numpy's file format, as far as the API speaks it: one little-endian array of doubles or floats. */

export interface Tensor {
  shape: number[];
  values: Float64Array | Float32Array;
}

const MAGIC = "\u0093NUMPY";

/** The array in an `.npy` file. Throws on what is none, or is of another type. */
export function readNpy(buffer: ArrayBuffer): Tensor {
  const text = (from: number, to: number) => String.fromCharCode(...new Uint8Array(buffer.slice(from, to)));
  if (text(0, 6) !== MAGIC) throw new TypeError("not an .npy file");
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1; // versions above 1 give the header's length as four bytes
  const start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = text(start, end);
  const type = /'descr': '([^']+)'/.exec(header)?.[1];
  if (!header.includes("'fortran_order': False")) throw new TypeError("an .npy file in Fortran's order");
  const shape = [...(/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? "").matchAll(/\d+/g)].map(Number);
  const entries = shape.reduce((product, size) => product * size, 1);
  const bytes = buffer.slice(end); // which aligns it, too
  if (type === "<f8") return { shape, values: new Float64Array(bytes, 0, entries) };
  if (type === "<f4") return { shape, values: new Float32Array(bytes, 0, entries) };
  throw new TypeError(`an .npy file of type ${type}`);
}
