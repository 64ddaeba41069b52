// A sweep's trials as a table that sorts by any column; a click opens a trial.

import { button, h, isNew, number, svg } from "./dom.js";
import { edit } from "./run.js";
import { state } from "./runs.js";

const WIDTH = 80,
  HEIGHT = 18; // of a little curve, in its own units
let order = { by: "number", down: false };

export function showTrials(place, facts) {
  if (!isNew(place, facts.trials, order)) return;
  const focused = document.activeElement?.dataset?.key;
  const rows = sorted(facts.trials).map((trial) => row(trial, facts));
  place.replaceChildren(h("table", { className: "trials" }, heading(place, facts), h("tbody", {}, rows)));
  if (focused) place.querySelector(`[data-key="${focused}"]`)?.focus();
}

function heading(place, facts) {
  const params = facts.params.map((name) => [`params.${name}`, name]);
  const more = facts.objectives.slice(1).map((name) => [`more.${name}`, name]);
  const first = [["number", "Trial"], ["state", "State"], ["value", facts.objectives[0] ?? "value"], ...more]; // prettier-ignore
  const cell = ([by, title]) => {
    const sort = () => {
      order = { by, down: order.by === by ? !order.down : by === "value" };
      showTrials(place, facts);
    };
    const way = order.by === by ? (order.down ? "descending" : "ascending") : "none";
    const sorts = button(title, sort, { className: "plain", "data-key": `by-${by}` });
    return h("th", { scope: "col", "aria-sort": way }, sorts);
  };
  const plain = (title) => h("th", { scope: "col" }, title);
  const cells = [first.map(cell), plain("Curve"), params.map(cell), cell(["epochs", "Epochs"]), plain("")];
  return h("thead", {}, h("tr", {}, cells.flat()));
}

function sorted(trials) {
  const [by, ...name] = order.by.split("."); // names of parameters have dots of their own
  const value = (trial) => (name.length ? trial[by][name.join(".")] : trial[by]);
  const missing = (x) => x === null || x === undefined;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y) return a.number - b.number;
    if (missing(x) || missing(y)) return missing(x) ? 1 : -1;
    const numeric = !isNaN(Number(x)) && !isNaN(Number(y));
    return (numeric ? Number(x) - Number(y) : String(x) < String(y) ? -1 : 1) * (order.down ? -1 : 1);
  };
  return [...trials].sort(compare);
}

function row(trial, facts) {
  const best = facts.best.includes(trial.number);
  const cell = (content, className = "num") => h("td", { className }, content);
  const epochs = trial.epochs === null ? "" : `${trial.epochs}${trial.of ? ` / ${trial.of}` : ""}`;
  return h(
    "tr",
    { className: best ? "best" : "", title: trial.reason },
    h("th", { scope: "row" }, trial.id ? link(trial) : `${trial.number}`, best ? " ★" : ""),
    cell(state(trial.state)),
    cell(number(trial.value)),
    facts.objectives.slice(1).map((name) => cell(number(trial.more[name] ?? null))),
    cell(spark(trial.spark)),
    facts.params.map((name) => cell(short(trial.params[name]))),
    cell(epochs),
    cell(trial.id ? use(trial) : ""),
  );
}

// Numbers with a fraction are rounded; a whole one, such as a seed, is a name as much as a size.
function short(text = "") {
  const rounded = text !== "" && !isNaN(Number(text)) && !/^[+-]?\d+$/.test(text);
  return rounded ? number(Number(text)) : text;
}

const link = ({ id, number: shown }) =>
  h("a", { href: `#/run/${id}`, "data-key": `open-${shown}`, title: "Open the trial" }, `${shown}`);

function use({ id, number: shown }) {
  return button("Use its values", () => edit(id), {
    className: "plain",
    "data-key": `use-${shown}`,
    title: "Puts its values into the form",
    "aria-label": `Use the values of trial ${shown}`,
  });
}

function spark(values) {
  if (values.length < 2) return "";
  const low = Math.min(...values),
    span = Math.max(...values) - low || 1;
  const x = (i) => 1 + ((WIDTH - 2) * i) / (values.length - 1);
  const y = (value) => HEIGHT - 1 - ((HEIGHT - 3) * (value - low)) / span;
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const label = `from ${number(values[0])} to ${number(values.at(-1))}`;
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", role: "img", "aria-label": label };
  return svg("svg", box, svg("polyline", { points }));
}
