// A run's curves: a chart for each panel, the learning rate last, the best epoch marked in all of them.

import { Chart } from "./charts.js";
import { h } from "./dom.js";

const RATE = "learning rate";
let logScale = false; // of the loss; kept from run to run

export class Curves {
  constructor(place) {
    this.place = place;
    this.charts = new Map();
  }

  // `rows`: the epochs so far; `facts`: the run, whose panels name the lines of each chart.
  show(rows, facts) {
    if (!facts || !rows.length) return;
    const xs = rows.map((row) => row.epoch),
      last = xs.at(-1);
    const to = facts.living ? Math.max(facts.progress.epochs ?? last, last) : last;
    const rate = "learning_rate" in rows[0] ? { [RATE]: ["learning_rate"] } : {};
    for (const [title, names] of Object.entries({ ...facts.panels, ...rate })) {
      const series = names.map((name) => ({
        name: short(name, title),
        values: rows.map((row) => row[name] ?? null),
        part: name.includes("/"), // of a single class
      }));
      this.chart(title).show({ xs, series, from: Math.min(1, xs[0]), to, mark: facts.progress.best_epoch || null });
    }
  }

  chart(title) {
    if (!this.charts.has(title)) {
      this.charts.set(title, this.panel(title));
      const rate = this.charts.get(RATE);
      if (rate) this.place.append(rate.place.parentElement);
    }
    return this.charts.get(title);
  }

  panel(title) {
    const place = h("div", { className: "chart" }),
      heading = h("figcaption", {}, title);
    const chart = new Chart(place, { log: title === "loss" && logScale });
    if (title === "loss") {
      const tick = h("input", { type: "checkbox", checked: logScale });
      tick.addEventListener("change", () => {
        logScale = tick.checked;
        chart.setLog(logScale);
      });
      heading.append(h("label", { className: "quiet" }, tick, " log"));
    }
    this.place.append(h("figure", { className: "card" }, heading, place));
    return chart;
  }

  end() {
    for (const chart of this.charts.values()) chart.end();
  }
}

const short = (name, title) => (name.startsWith(`${title}/`) ? name.slice(title.length + 1) : name);
