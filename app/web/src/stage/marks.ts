/** Marks of classes, each of another shape: what a class is must not hang on its colour alone. */

/** As SVG paths round 0, 0; canvases take them too. */
const SHAPES = [
  "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
  "M0-5.2L5 4H-5z",
  "M-4-4H4V4H-4z",
  "M0-5.6L5.6 0L0 5.6L-5.6 0z",
  "M-1.7-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7z",
  "M0-5.5L5.2-1.7L3.2 4.4H-3.2L-5.2-1.7z",
] as const;
const COLOURS = ["--neg", "--pos", "--ink3", "--ink", "--d2", "--d6"] as const;

export const shapeOfClass = (index: number): string => SHAPES[index % SHAPES.length]!;
export const colourOfClass = (index: number): string => COLOURS[index % COLOURS.length]!;
