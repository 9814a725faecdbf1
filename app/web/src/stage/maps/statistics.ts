/** What there is to say about many numbers at once. None of it is slow for a million of them. */

type Values = ArrayLike<number>;

const SHARE = 0.995;
const MOST_SORTED = 50_000;

/** The size that a share of the entries (99.5 %) do not exceed: the end of a colour scale, which a few outliers should not stretch. */
export function scaleOf(values: Values, share = SHARE): number {
  const every = Math.ceil(values.length / MOST_SORTED);
  const sizes = new Float64Array(Math.ceil(values.length / every) || 0);
  let many = 0;
  for (let i = 0; i < values.length; i += every) {
    const size = Math.abs(values[i]!);
    if (size < Infinity && size > 0) sizes[many++] = size;
  }
  // Zeros have their colour on any scale: those of dead units should not darken what is left.
  const sorted = sizes.subarray(0, many).sort();
  return sorted[Math.min(many - 1, Math.ceil(share * many) - 1)] ?? 0;
}

/** How many entries lie in each of so many bins from −limit to limit. Zeros are not counted: they would hide the others. */
export function histogram(values: Values, limit: number, bins = 40): number[] {
  const counts = Array<number>(bins).fill(0);
  if (limit <= 0) return counts;
  const half = bins / 2;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value === 0 || !(Math.abs(value) <= limit)) continue;
    const bin = Math.floor((value / limit) * half) + half;
    counts[Math.min(bins - 1, bin)]!++;
  }
  return counts;
}

export interface Facts {
  norm: number;
  /** The spread of the entries: σ. */
  std: number;
  zeros: number;
  nonfinite: number;
}

/** The norm and the spread of the finite entries, and how many are zero, or not finite. */
export function facts(values: Values): Facts {
  let [sum, squares, zeros, finite] = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    finite++;
    sum += value;
    squares += value * value;
    if (value === 0) zeros++;
  }
  const mean = finite ? sum / finite : 0;
  let spread = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isFinite(value)) spread += (value - mean) ** 2;
  }
  return { norm: Math.sqrt(squares), std: finite ? Math.sqrt(spread / finite) : 0, zeros, nonfinite: values.length - finite };
}

/** The places of the entries of largest size, largest first; zeros are none. */
export function largest(values: Values, many: number): number[] {
  const found: number[] = [];
  const sizeOf = (at: number | undefined) => (at === undefined ? 0 : Math.abs(values[at]!));
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    if (!(size > (found.length < many ? 0 : sizeOf(found.at(-1)))) || size === Infinity) continue;
    let place = found.length;
    while (place > 0 && sizeOf(found[place - 1]) < size) place--;
    found.splice(place, 0, i);
    if (found.length > many) found.pop();
  }
  return found;
}

/** Each entry of one less that of another. */
export function difference(next: Values, now: Values): Float64Array {
  return Float64Array.from(next, (value, i) => value - now[i]!);
}

/** Each entry of one as a share of another's; where that is zero there is none. */
export function shares(part: Values, whole: Values): Float64Array {
  return Float64Array.from(part, (value, i) => (whole[i] === 0 ? 0 : value / whole[i]!));
}
