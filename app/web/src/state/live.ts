/** What a training reports so that the picture lives: how often, and with which numbers. */

import type { TrainOptions } from "../types";
import { FRAMES } from "./film";
import type { Shape } from "./shape";

/** Decimals of the numbers in an entry: a frame is seen for a sixtieth of a second. */
export const DECIMALS = 6;
/** Somewhat less than a server lets the entries of one training hold, and what it reckons for a number. */
const MOST_BYTES = 6e7;
const NUMBER_BYTES = DECIMALS + 5;
/** Runs that may end early are reported more finely. */
const FINER = 4;

export interface Live {
  reportEvery: number;
  /** Whether entries hold the numbers of the network, and its answers to the probe. */
  pictured: boolean;
}

/** How often to report. A person's own choice is kept: where it makes too much for pictures, there are curves alone. */
export function liveOf(options: TrainOptions, entryNumbers: number): Live {
  const most = Math.max(1, Math.floor(MOST_BYTES / (NUMBER_BYTES * Math.max(1, entryNumbers))));
  const wanted = options.stop?.length ? FINER * FRAMES : FRAMES;
  const reportEvery = options.report_every ?? Math.ceil(options.epochs / Math.min(wanted, most));
  return { reportEvery, pictured: Math.ceil(options.epochs / reportEvery) <= most };
}

/** How many numbers an entry holds: the probe's answers, the trace of one sample, values and gradients. */
export function entryNumbers({ sizes, layers, parameters }: Shape, points: number, withUnits: boolean, withParameters: boolean): number {
  const units = layers.reduce((sum, layer) => sum + layer.units, 0);
  const jacobians = layers.reduce((sum, { activation, units: n }) => sum + (activation === "softmax" ? n * n : 0), 0);
  const trace = sizes[0]! + 2 * sizes.at(-1)! + 5 * units + jacobians;
  return points * (withUnits ? units : sizes.at(-1)!) + trace + (withParameters ? 2 * parameters : 0);
}
