// One run: followed while it trains, whole when it has ended. What is shown is the run's own saved configuration.

import { get } from "./api.js";
import { Chart } from "./charts.js";
import { bytes, duration, find, h, number, say, when } from "./dom.js";
import { ask, mlflow, state } from "./runs.js";
import { forOneRun } from "./space.js";
import { replace } from "./store.js";

let source = null, shownId = null, rows = [], facts = null, charts = new Map(), parts = null, logScale = false;

export function close() {
  source?.close();
  for (const chart of charts.values()) chart.end();
  source = null; shownId = null; rows = []; facts = null; charts = new Map();
}

export function open(id, afresh = false) {
  if (shownId === id && !afresh && source) return;
  if (shownId !== id || afresh) { close(); parts = frame(); find("detail").replaceChildren(...Object.values(parts)); }
  shownId = id;
  source?.close();
  source = new EventSource(`/api/runs/${id}/stream`);
  source.addEventListener("run", (event) => { facts = JSON.parse(event.data); show(); });
  source.addEventListener("rows", (event) => { const told = JSON.parse(event.data); rows = told.afresh ? told.rows : [...rows, ...told.rows]; curves(); });
  source.addEventListener("log", (event) => log(JSON.parse(event.data)));
  source.addEventListener("use", (event) => use(JSON.parse(event.data)));
  source.addEventListener("end", () => { source?.close(); source = null; });
  source.onerror = () => { if (source?.readyState === EventSource.CLOSED) { source = null; if (!facts) parts.head.replaceChildren(h("p", { className: "error" }, "There is no such run.")); } };
}

function frame() {
  return {
    head: h("div", { className: "run-head" }),
    said: h("p", { className: "quiet answer", role: "status" }),
    progress: h("div", { className: "progress" }),
    told: h("p", { className: "unseen", role: "status", "aria-live": "polite" }),
    tiles: h("dl", { className: "tiles" }),
    problem: h("div", { className: "failure", role: "alert" }),
    charts: h("div", { className: "charts" }),
    pictures: h("div", { className: "pictures" }),
    config: h("details", { className: "card" }, h("summary", {}, "Configuration of this run")),
    log: h("details", { className: "card", open: true }, h("summary", {}, "Log"), h("pre", { className: "log", tabIndex: 0 })),
  };
}

function show() {
  head();
  progress();
  failure();
  curves();
  pictures();
  config();
}

function button(title, action, { kind = "", hint = "" } = {}) {
  const made = h("button", { type: "button", className: kind, title: hint, onclick: async () => { made.disabled = true; await action(); made.disabled = false; } }, title);
  return made;
}

// Built anew only when something about it changes, so that focus stays where it is.
function head() {
  const { id, kind, name, task, model, created, sweep, can_stop, can_kill, can_resume, can_edit, tracked } = { ...facts, id: shownId };
  const text = JSON.stringify([facts.state, can_stop, can_kill, can_resume, can_edit, tracked, name, sweep]);
  if (parts.head.dataset.text === text) return;
  parts.head.dataset.text = text;
  const again = () => open(id, true);
  parts.head.replaceChildren(
    kind === "trial" && sweep ? h("p", {}, h("a", { href: `#/sweep/${sweep}` }, "← its sweep")) : "",
    h("div", { className: "run-title" }, h("h2", {}, `${task} · ${model}`), state(facts.state)),
    h("p", { className: "quiet" }, [name, when(created)].filter(Boolean).join(" · ")),
    h("div", { className: "buttons" },
      can_stop ? button("Stop and keep", () => ask(`/api/runs/${id}/stop`), { hint: "Finishes the step, saves, and ends as KILLED; it can be resumed" }) : "",
      can_kill && kind === "run" ? button("Stop now", () => ask(`/api/runs/${id}/kill`), { kind: "danger", hint: "Ends its processes at once; what came after the last checkpoint is lost" }) : "",
      can_resume && kind === "run" ? button("Resume", () => ask(`/api/runs/${id}/resume`, again), { hint: "Goes on where it was saved last" }) : "",
      can_edit ? button(kind === "trial" ? "Use its values" : "Edit as new", edit, { hint: "Puts its values into the form" }) : "",
      tracked ? button("MLflow", () => mlflow([id], parts.said), { hint: "Its page in MLflow, whose server is started if none runs" }) : ""));
}

export async function edit(id = shownId) {
  const whole = await get(`/api/runs/${typeof id === "string" ? id : shownId}/form`).catch((error) => { parts.problem.replaceChildren(...error.lines.map((line) => h("p", {}, line))); });
  if (!whole) return;
  replace(whole);
  forOneRun();
  location.hash = "#/new";
}

function progress() {
  const p = facts.progress, live = facts.living;
  const bar = h("progress", { max: p.epochs || 1, "aria-label": "Epochs" });
  if (facts.state !== "starting") bar.value = p.epoch + p.share;
  const now = { starting: "starting: reading the data and building the model", stopping: "stopping: finishes the step and saves" }[facts.state];
  const phase = p.phase === "concluding" ? "measuring the best epoch, drawing" : p.step !== null && p.step === p.steps ? "measuring on the validation split" : p.step !== null ? `step ${p.step} of ${p.steps}` : "";
  const at = `epoch ${Math.min(p.epoch + (live && facts.state === "running" && p.phase === "training" ? 1 : 0), p.epochs || Infinity)} of ${p.epochs ?? "?"}`;
  const told = live ? (now ?? [at, phase, p.left !== null ? `${duration(p.left)} left at most` : ""].filter(Boolean).join(" · ")) : `${p.epoch} of ${p.epochs ?? "?"} epochs`;
  const former = parts.progress.querySelector("progress");
  if (!former || live !== (parts.progress.dataset.live === "true")) {
    parts.progress.dataset.live = live;
    parts.progress.replaceChildren(live ? bar : "", h("span", {}, told));
  } else {
    if (bar.hasAttribute("value")) former.value = bar.value; else former.removeAttribute("value");
    say(parts.progress.lastChild, told);
  }
  // Steps change every second, which nobody wants to have read out; epochs and states are told.
  say(parts.told, `${facts.state}, ${p.epoch} of ${p.epochs ?? "?"} epochs${p.best === null ? "" : `, best ${facts.monitor} ${number(p.best)}`}`);
  tiles(p);
}

function tiles(p) {
  const waited = p.patience ? `${p.waited} of ${p.patience}` : `${p.waited}, no limit`;
  const shown = {
    [`Best ${facts.monitor}`]: p.best === null ? "–" : `${number(p.best)} in epoch ${p.best_epoch}`,
    "Epochs since best": waited,
    "Images/s": p.speed ? number(p.speed, 3) : "–",
    "Trained for": duration(p.seconds),
    ...Object.fromEntries(Object.entries(facts.test).slice(0, 3).map(([name, value]) => [`Test ${name}`, number(value)])),
  };
  for (const [title, value] of Object.entries(shown)) tile(title, value);
  for (const old of [...parts.tiles.children]) if (!old.dataset.kept && !(old.dataset.title in shown)) old.remove();
}

function tile(title, value, kept = false) {
  let place = [...parts.tiles.children].find((one) => one.dataset.title === title);
  if (!place) {
    place = h("div", {}, h("dt", {}, title), h("dd", {}));
    place.dataset.title = title;
    if (kept) place.dataset.kept = "yes";
    parts.tiles.append(place);
  }
  say(place.lastChild, value);
}

function use(told) {
  for (const old of [...parts.tiles.children]) if (old.dataset.kept) old.remove();
  if (!told.memory) return;
  tile("Memory", `${bytes(told.memory)} · ${told.cpu} % CPU`, true);
  for (const gpu of told.gpus) tile(`GPU ${gpu.index}`, `${gpu.load ?? "?"} %, ${gpu.used ?? "?"} of ${gpu.total ?? "?"} MiB`, true);
}

function failure() {
  const badly = !facts.living && (facts.state === "failed" || facts.state === "unfinished" || facts.last_lines.length > 0);
  const text = JSON.stringify([badly, facts.reason, facts.exit_code, facts.last_lines]);
  if (parts.problem.dataset.text === text) return;
  parts.problem.dataset.text = text;
  const code = facts.exit_code === null ? "" : ` (exit code ${facts.exit_code})`;
  const early = !badly && facts.reason ? h("p", { className: "quiet" }, `Ended early: ${facts.reason}`) : "";
  parts.problem.replaceChildren(...(badly ? [
    h("p", { className: "error" }, h("strong", {}, facts.reason || "The run ended without a word."), code),
    facts.last_lines.length ? h("pre", { className: "log", tabIndex: 0, "aria-label": "The last lines of its log" }, facts.last_lines.join("\n")) : "",
  ] : [early]));
}

function curves() {
  if (!facts || !rows.length) return;
  const xs = rows.map((row) => row.epoch), last = xs.at(-1);
  const to = facts.living ? Math.max(facts.progress.epochs ?? last, last) : last;
  const panels = { ...facts.panels, "learning rate": ["learning_rate"] };
  for (const [title, names] of Object.entries(panels)) {
    if (title !== "learning rate" && !charts.has(title) && charts.has("learning rate")) parts.charts.append(charts.get("learning rate").place.parentElement);
    if (!charts.has(title)) charts.set(title, panel(title));
    const series = names.map((name) => ({ name: name.startsWith(`${title}/`) ? name.slice(title.length + 1) : name, values: rows.map((row) => row[name] ?? null) }));
    charts.get(title).show({ xs, series, from: Math.min(1, xs[0]), to, mark: facts.progress.best_epoch || null });
  }
}

function panel(title) {
  const place = h("div", { className: "chart" });
  const figure = h("figure", { className: "card" }, h("figcaption", {}, title), place);
  const chart = new Chart(place, { log: title === "loss" && logScale });
  if (title === "loss") {
    const tick = h("input", { type: "checkbox", checked: logScale, onchange: () => { logScale = tick.checked; chart.setLog(logScale); } });
    figure.firstChild.append(h("label", { className: "quiet" }, tick, " log"));
  }
  parts.charts.append(figure);
  return chart;
}

function pictures() {
  const text = JSON.stringify(facts.pictures);
  if (parts.pictures.dataset.text === text) return;
  parts.pictures.dataset.text = text;
  parts.pictures.replaceChildren(...facts.pictures.map(({ name, stamp }) => {
    const title = name.replace(".png", "").replaceAll("_", " "), address = `/api/runs/${shownId}/plots/${name}?${stamp}`;
    return h("figure", { className: "card" }, h("figcaption", {}, title), h("a", { href: address, target: "_blank", rel: "noopener" }, h("img", { src: address, alt: title, loading: "lazy" })));
  }));
}

function config() {
  const text = JSON.stringify([facts.settings, facts.command]);
  if (parts.config.dataset.text === text) return;
  parts.config.dataset.text = text;
  const lines = Object.entries(facts.settings).map(([key, value]) => h("tr", { className: facts.sources[key] === "you" ? "mine" : "" }, h("th", { scope: "row" }, h("code", {}, key)), h("td", {}, value), h("td", { className: "quiet" }, facts.sources[key] ?? "")));
  parts.config.replaceChildren(parts.config.firstChild, facts.command ? h("pre", { className: "command", tabIndex: 0 }, facts.command) : "", h("p", { className: "quiet" }, facts.folder),
    h("div", { className: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["setting", "value", "from"].map((title) => h("th", { scope: "col" }, title)))), h("tbody", {}, lines))));
}

function log(lines) {
  const place = parts.log.lastChild, atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
  place.textContent = lines.join("\n");
  if (atEnd) place.scrollTop = place.scrollHeight;
}
