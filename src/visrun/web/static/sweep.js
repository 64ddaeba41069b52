// One sweep: its trials as they come in, the best of them, and what matters.

import { get } from "./api.js";
import { find, h, number, say, svg, when } from "./dom.js";
import { edit } from "./run.js";
import { ask, mlflow, state } from "./runs.js";

const PAUSE = 1500;
let shownId = null, timer = 0, facts = null, order = { by: "number", down: false }, parts = null;

export function close() {
  clearTimeout(timer);
  shownId = null;
}

export function open(id) {
  if (shownId !== id) { facts = null; parts = frame(); find("detail").replaceChildren(...Object.values(parts)); }
  shownId = id;
  look();
}

function frame() {
  return {
    head: h("div", { className: "run-head" }), said: h("p", { className: "quiet answer", role: "status" }), progress: h("div", { className: "progress", role: "status", "aria-live": "polite" }),
    problem: h("div", { className: "failure", role: "alert" }), matters: h("div", {}), trials: h("div", { className: "scroll card" }),
    pictures: h("div", { className: "pictures" }), log: h("details", { className: "card" }, h("summary", {}, "Log and command"), h("pre", { className: "command", tabIndex: 0 }), h("pre", { className: "log", tabIndex: 0 })),
  };
}

async function look() {
  clearTimeout(timer);
  const id = shownId;
  try {
    const told = await get(`/api/sweeps/${id}`);
    if (id !== shownId) return;
    facts = told;
    show();
  } catch (error) {
    if (error.status === 404) { parts.head.replaceChildren(h("p", { className: "error" }, "There is no such sweep.")); return; }
  }
  if (id === shownId) timer = setTimeout(look, facts?.living ? PAUSE : 6 * PAUSE);
}

function show() {
  head();
  const count = (name) => facts.trials.filter((trial) => trial.state === name).length;
  const ended = ["complete", "pruned", "failed"].reduce((sum, name) => sum + count(name), 0);
  const best = facts.trials.find((trial) => trial.number === facts.best);
  const told = [`${ended}${facts.wanted ? ` of ${facts.wanted}` : ""} trials`, ...["complete", "running", "pruned", "failed", "stopped"].filter(count).map((name) => `${count(name)} ${name}`), best ? `best ${facts.objectives[0]} ${number(best.value)} in trial ${best.number}` : ""].filter(Boolean).join(" · ");
  const bar = parts.progress.querySelector("progress") ?? h("progress", { "aria-label": "Trials" });
  bar.max = facts.wanted || Math.max(ended, 1);
  bar.value = ended;
  if (!parts.progress.firstChild) parts.progress.append(bar, h("span", {}));
  say(parts.progress.lastChild, told);
  failure();
  importance();
  table();
  pictures();
  const [command, log] = parts.log.querySelectorAll("pre");
  say(command, facts.command ?? "");
  command.hidden = !facts.command;
  say(log, facts.log.join("\n"));
}

function head() {
  const text = JSON.stringify([facts.state, facts.can_stop, facts.can_kill, facts.can_resume, facts.tracked]);
  if (parts.head.dataset.text === text) return;
  parts.head.dataset.text = text;
  const id = shownId;
  const button = (title, path, kind, hint) => h("button", { type: "button", className: kind, title: hint, onclick: () => ask(`/api/runs/${id}/${path}`, look) }, title);
  parts.head.replaceChildren(
    h("div", { className: "run-title" }, h("h2", {}, `Sweep · ${facts.task}`), state(facts.state)),
    h("p", { className: "quiet" }, [facts.name, when(facts.created)].filter(Boolean).join(" · ")),
    h("div", { className: "buttons" },
      facts.can_stop ? button("Stop and keep", "stop", "", "Its trials save and end; it can go on later") : "",
      facts.can_kill ? button("Stop now", "kill", "danger", "Ends all its processes at once") : "",
      facts.can_resume ? button("Go on", "resume", "", "Runs what is left of it") : "",
      facts.tracked ? h("button", { type: "button", onclick: () => mlflow([id], parts.said) }, "MLflow") : ""));
}

function failure() {
  const text = facts.last_lines.join("\n");
  if (parts.problem.dataset.text === text) return;
  parts.problem.dataset.text = text;
  parts.problem.replaceChildren(...(text ? [h("p", { className: "error" }, h("strong", {}, `It ended with exit code ${facts.exit_code}.`)), h("pre", { className: "log", tabIndex: 0 }, text)] : []));
}

function importance() {
  const text = JSON.stringify(facts.importance), shares = Object.entries(facts.importance);
  if (parts.matters.dataset.text === text) return;
  parts.matters.dataset.text = text;
  parts.matters.replaceChildren(...(shares.length ? [h("section", { className: "card histogram", "aria-label": "Importance" }, h("table", {},
    h("caption", {}, "Importance: share of the variance that each parameter explains"),
    h("tbody", {}, shares.map(([name, share]) => {
      const bar = h("span", { className: "bar-full" });
      bar.style.width = `${100 * share}%`;
      return h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", { className: "bar-cell" }, bar), h("td", { className: "count-cell" }, `${Math.round(100 * share)} %`));
    }))))] : []));
}

function table() {
  const text = JSON.stringify([facts.trials, order]);
  if (parts.trials.dataset.text === text) return;
  parts.trials.dataset.text = text;
  const metric = facts.objectives[0] ?? "value";
  const columns = [["number", "Trial"], ["state", "State"], ["value", metric], ...facts.params.map((name) => [`params.${name}`, name]), ["epochs", "Epochs"]];
  const sort = (by) => { order = { by, down: order.by === by ? !order.down : by === "value" }; table(); };
  const headings = columns.map(([by, title]) => h("th", { scope: "col", "aria-sort": order.by === by ? (order.down ? "descending" : "ascending") : "none" }, h("button", { type: "button", className: "plain", onclick: () => sort(by) }, title)));
  const focused = document.activeElement?.dataset?.key;
  parts.trials.replaceChildren(h("table", { className: "trials" },
    h("thead", {}, h("tr", {}, headings.slice(0, 3), h("th", { scope: "col" }, "Curve"), headings.slice(3), h("th", { scope: "col" }, ""))),
    h("tbody", {}, sorted().map((trial) => row(trial)))));
  if (focused) parts.trials.querySelector(`[data-key="${focused}"]`)?.focus();
}

function sorted() {
  const value = (trial) => (order.by.startsWith("params.") ? trial.params[order.by.slice(7)] : trial[order.by]);
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y) return a.number - b.number;
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    const numeric = !isNaN(Number(x)) && !isNaN(Number(y));
    return (numeric ? Number(x) - Number(y) : String(x) < String(y) ? -1 : 1) * (order.down ? -1 : 1);
  };
  return [...facts.trials].sort(compare);
}

function row(trial) {
  const shown = (text) => (text === undefined ? "" : !isNaN(Number(text)) && text !== "" ? number(Number(text)) : text);
  const name = trial.id ? h("a", { href: `#/run/${trial.id}`, "data-key": `open-${trial.number}`, title: "Open the trial" }, `${trial.number}`) : `${trial.number}`;
  const best = trial.number === facts.best;
  return h("tr", { className: best ? "best" : "", title: trial.reason },
    h("th", { scope: "row" }, name, best ? " ★" : ""), h("td", {}, state(trial.state)), h("td", { className: "num" }, number(trial.value)), h("td", {}, spark(trial.spark)),
    facts.params.map((param) => h("td", { className: "num" }, shown(trial.params[param]))),
    h("td", { className: "num" }, trial.epochs === null ? "" : trial.of ? `${trial.epochs} / ${trial.of}` : `${trial.epochs}`),
    h("td", {}, trial.id ? h("button", { type: "button", className: "plain", "data-key": `use-${trial.number}`, title: "Puts its values into the form", "aria-label": `Use the values of trial ${trial.number}`, onclick: () => edit(trial.id) }, "Use its values") : ""));
}

function spark(values) {
  if (values.length < 2) return "";
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const points = values.map((value, i) => `${(1 + (78 * i) / (values.length - 1)).toFixed(1)},${(17 - (15 * (value - low)) / span).toFixed(1)}`).join(" ");
  return svg("svg", { viewBox: "0 0 80 18", class: "spark", role: "img", "aria-label": `from ${number(values[0])} to ${number(values.at(-1))}` }, svg("polyline", { points }));
}

function pictures() {
  const text = JSON.stringify(facts.pictures);
  if (parts.pictures.dataset.text === text) return;
  parts.pictures.dataset.text = text;
  parts.pictures.replaceChildren(...facts.pictures.map(({ name, stamp }) => {
    const title = name.replace(".png", ""), address = `/api/runs/${shownId}/plots/${name}?${stamp}`;
    return h("figure", { className: "card" }, h("figcaption", {}, title), h("a", { href: address, target: "_blank", rel: "noopener" }, h("img", { src: address, alt: title, loading: "lazy" })));
  }));
}
