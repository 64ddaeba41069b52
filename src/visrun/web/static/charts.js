// Curves, drawn by uPlot in the colours of the theme.

import { h, number } from "./dom.js";

const HEIGHT = 190;
const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6", "--line-7", "--line-8"];
const living = new Set();

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

// show: `series`, [{name, values, part}] over `xs`; `from` and `to`, the ends of the axis; `mark`, an epoch to draw a
// line at. Where there are more lines than colours, a `part` is faint, and named where the pointer is nearest to it.
export class Chart {
  constructor(place, { log = false, label = "epoch" } = {}) {
    Object.assign(this, { place, log, label, mark: null, plot: null, names: "", data: null });
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(place);
    living.add(this);
  }

  show({ xs, series, from, to, mark = null }) {
    this.faint = series.length > COLOURS.length ? series.filter((one) => one.part).map((one) => one.name) : [];
    this.from = from;
    this.to = to;
    this.mark = mark;
    this.data = [xs, ...series.map((one) => one.values)];
    const names = series.map((one) => one.name).join("\n");
    if (!this.plot || names !== this.names) {
      this.names = names;
      this.draw();
    } else this.plot.setData(this.data);
    this.tellLast();
  }

  // A line in the chart's place: why there is nothing to draw.
  say(line) {
    this.data = null;
    this.draw();
    this.place.replaceChildren(h("p", { className: "quiet" }, line));
  }

  setLog(log) {
    this.log = log;
    this.draw();
  }

  draw() {
    this.plot?.destroy();
    this.plot = null;
    const width = this.place.clientWidth;
    if (!this.data || !width || typeof uPlot === "undefined") return;
    this.place.replaceChildren();
    const names = this.names ? this.names.split("\n") : [];
    this.plot = new uPlot(this.options(names, width), this.data, this.place);
    this.plot.over.addEventListener("mouseleave", () => this.tellLast());
    requestAnimationFrame(() => this.tellLast());
  }

  // Where no pointer asks for an epoch, the legend tells the last one.
  tellLast() {
    if (this.plot && !this.plot.over.matches(":hover")) this.plot.setLegend({ idx: this.data[0].length - 1 });
  }

  options(names, width) {
    const quiet = colour("--quiet"),
      rule = colour("--rule"),
      strong = names.filter((name) => !this.faint.includes(name)),
      many = this.faint.length > 0;
    const axis = {
      stroke: quiet,
      font: "11px system-ui, sans-serif",
      grid: { stroke: rule, width: 1 },
      ticks: { stroke: rule, width: 1, size: 4 },
    };
    const line = (name) => ({
      label: name,
      points: { show: this.data[0].length <= 30, size: 5 },
      ...(strong.includes(name)
        ? { stroke: colour(COLOURS[strong.indexOf(name) % COLOURS.length]), width: many ? 2 : 1.5 }
        : { stroke: quiet, width: 0.75, class: "faint", points: { show: false } }),
      spanGaps: true,
      pxAlign: 0,
      value: (_, value) => (value === null ? "–" : number(value)),
    });
    return {
      width,
      height: HEIGHT,
      legend: { live: true },
      cursor: { points: { size: 7, one: many }, drag: { x: false, y: false }, focus: { prox: many ? 1e6 : -1 } },
      focus: { alpha: 1 },
      scales: {
        x: { time: false, range: () => [this.from, Math.max(this.to, this.from + 1)] },
        y: this.log ? { distr: 3 } : { range: ends },
      },
      axes: [
        {
          ...axis,
          size: 26,
          label: this.label,
          labelSize: 18,
          labelFont: axis.font,
          values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick : "")),
        },
        { ...axis, size: 54, values: (_, ticks, _axis, _space, step) => ticks.map((tick) => named(tick, this.log ? 0 : step)) },
      ],
      series: [{ label: "epoch", value: (_, value) => value ?? "–" }, ...names.map(line)],
      hooks: { draw: [(plot) => this.drawMark(plot)], setSeries: [(plot, i) => nameNear(plot, i)] },
    };
  }

  drawMark(plot) {
    if (this.mark === null) return;
    const x = Math.round(plot.valToPos(this.mark, "x", true)),
      { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("--quiet");
    ctx.setLineDash([3, 4]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  resize() {
    if (!this.plot) this.draw();
    else if (this.place.clientWidth && this.plot.width !== this.place.clientWidth)
      this.plot.setSize({ width: this.place.clientWidth, height: HEIGHT });
  }

  end() {
    this.watcher.disconnect();
    this.plot?.destroy();
    living.delete(this);
  }
}

// Of what is always 0 uPlot's axis goes to 100, and most metrics to 1.
function ends(_, low, high) {
  if (low === null) return [null, null];
  return low === 0 && high === 0 ? [0, 1] : uPlot.rangeNum(low, high, 0.1, true);
}

// A tick's number with as many digits as tell it from its neighbours, which are `step` away.
export function named(tick, step) {
  if (tick === null) return "";
  const digits = step && tick ? Math.ceil(Math.log10(Math.abs(tick) / step) + 1.5) : 3;
  return number(tick, Math.max(3, digits));
}

function nameNear(plot, near) {
  plot.root.querySelectorAll(".u-legend .u-series").forEach((row, i) => row.classList.toggle("near", i === near));
}

export function recolour() {
  for (const chart of living) chart.draw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
