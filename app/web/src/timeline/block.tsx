/** A training on the strip: as wide as it is long, with its own loss curve; one under way grows. */

import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import type { VNode } from "preact";
import { curves } from "../state/model";
import { courseOf } from "./courses";
import { BASE } from "./glyph";
import { RUNNING } from "./past";
import type { Spread } from "./spread";

const TOP = 13;

export function Block({ mark, now }: { mark: Spread; now: number }): VNode {
  const running = mark.revision === RUNNING;
  const course = running ? curves.value : courseOf(mark.revision);
  const points: [number, number][] = [];
  course?.epoch.forEach((epoch, i) => {
    const loss = course.loss[i];
    if (epoch >= mark.from && epoch <= mark.to && typeof loss === "number") points.push([epoch, loss]);
  });
  const done = (mark.width * Math.min(mark.stops, Math.max(0, now - mark.stop + 1))) / mark.stops;
  return (
    <g transform={`translate(${mark.x} 0)`}>
      <rect class={running ? "time-block running" : "time-block"} y={TOP} width={mark.width} height={BASE - TOP} />
      {done > 0 && <rect class={running ? "time-done running" : "time-done"} y={TOP} width={done} height={BASE - TOP} />}
      <path class="time-course" d={drawn(points, mark) ?? ""} />
    </g>
  );
}

/** The loss, on a scale of its own: logarithmic where it can be, so that a long tail still shows. */
function drawn(points: [number, number][], { from, to, width, stops }: Spread): string | null {
  const losses = points.map(([, loss]) => loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const scale = low > 0 ? scaleLog() : scaleLinear();
  const y = scale.domain(low < high ? [low, high] : [low, low + 1]).range([BASE - 5, TOP + 5]);
  const x = scaleLinear()
    .domain([from - 1, to])
    .range([0, width]);
  if (stops === 1 && points.length === 1) return `M0 ${y(low)}H${width}`;
  return line<[number, number]>()
    .x(([epoch]) => x(epoch))
    .y(([, loss]) => y(loss))(points);
}
