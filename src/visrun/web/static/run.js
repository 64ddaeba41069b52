// One run: followed while it trains, whole when it has ended. What is shown is the run's own saved configuration.

import { get } from "./api.js";
import { Curves } from "./curves.js";
import { button, bytes, duration, entitle, find, h, isNew, notice, number, say, when } from "./dom.js";
import { take } from "./form.js";
import { showConfig, showEnd, showPictures } from "./parts.js";
import { tryPanel } from "./predict.js";
import { ask, mlflow, state } from "./runs.js";
import { forOneRun } from "./space.js";

const PAUSE = 10000; // ms between two looks at the run of a tab that nobody sees

let source = null,
  timer = 0,
  shownId = null,
  rows = [],
  facts = null,
  curves = null,
  parts = null;

export function close() {
  unfollow();
  curves?.end();
  shownId = null;
  rows = [];
  facts = null;
}

// Whether what is shown lived when it was last heard of, and nothing is heard of it any more.
export const isCutOff = () => source === null && facts?.living === true;

export function open(id, afresh = false) {
  if (shownId === id && !afresh && source) return;
  if (shownId !== id || afresh) {
    close();
    parts = frame();
    curves = new Curves(parts.charts);
    find("detail").replaceChildren(...Object.values(parts));
  }
  shownId = id;
  follow();
}

function unfollow() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

// A browser opens six connections to a host, and a stream takes one: a tab that nobody sees asks now and then instead.
function follow() {
  unfollow();
  if (shownId === null) return;
  if (document.hidden) glance(shownId);
  else listen(shownId);
}
document.addEventListener("visibilitychange", follow);

async function glance(id) {
  let status = 0;
  const told = await get(`/api/runs/${id}`).catch((error) => {
    status = error.status;
    return null;
  });
  if (id !== shownId || source) return;
  if (status === 404) {
    missing();
    return;
  }
  facts = told ?? facts;
  if (told) show();
  if (told?.living && !document.hidden) listen(id);
  else timer = setTimeout(() => glance(id), PAUSE);
}

function listen(id) {
  source = new EventSource(`/api/runs/${id}/stream`);
  source.addEventListener("run", (event) => {
    facts = JSON.parse(event.data);
    show();
  });
  source.addEventListener("rows", (event) => {
    const told = JSON.parse(event.data);
    rows = told.afresh ? told.rows : [...rows, ...told.rows];
    curves.show(rows, facts);
  });
  source.addEventListener("log", (event) => log(JSON.parse(event.data)));
  source.addEventListener("use", (event) => use(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    unfollow();
    timer = setTimeout(() => glance(id), PAUSE); // its folder may go, as a stopped trial's does once its sweep goes on
  });
  source.addEventListener("gone", missing);
  source.onerror = () => {
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      if (!facts) missing();
    }
  };
}

function missing() {
  const said = facts ? "The folder of this run is gone." : "There is no such run.";
  const sweep = facts?.kind === "trial" && facts.sweep;
  const onward = h("a", { href: `#/sweep/${sweep}` }, "A trial that was stopped goes on with its sweep.");
  close();
  find("detail").replaceChildren(h("p", { className: "error" }, said, ...(sweep ? [" ", onward] : [])));
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
    tries: h("details", { className: "card", hidden: true }),
    config: h("details", { className: "card" }, h("summary", {}, "Configuration of this run")),
    log: h(
      "details",
      { className: "card", open: true },
      h("summary", {}, "Log"),
      h("pre", { className: "log", tabIndex: 0 }),
    ),
  };
}

function show() {
  head();
  progress();
  showEnd(parts.problem, facts, "Ended early: ");
  curves.show(rows, facts);
  showPictures(parts.pictures, shownId, facts.pictures);
  tryPanel(parts.tries, shownId, facts);
  showConfig(parts.config, facts);
  title();
}

function title() {
  const { progress: p, living, state: now, model } = facts;
  const sign = now === "finished" ? "✓" : facts.ended_badly ? "✗" : now;
  entitle(
    living && now === "running" ? `${p.epoch}/${p.epochs ?? "?"}` : sign,
    p.best === null ? "" : number(p.best, 3),
    model,
  );
}

// A button that waits for what it has begun.
function acting(title, action, { kind = "", hint = "" } = {}) {
  const act = async () => {
    made.disabled = true;
    await action();
    made.disabled = false;
  };
  const made = button(title, act, { className: kind, title: hint });
  return made;
}

// Built anew only when something about it changes, so that focus stays where it is.
function head() {
  const { id, kind, name, task, model, dataset, created, sweep, can_stop, can_kill, can_resume, can_edit, tracked } = {
    ...facts,
    id: shownId,
  };
  if (!isNew(parts.head, facts.state, can_stop, can_kill, can_resume, can_edit, tracked, name, sweep)) return;
  const again = () => open(id, true);
  parts.head.replaceChildren(
    kind === "trial" && sweep ? h("p", {}, h("a", { href: `#/sweep/${sweep}` }, "← its sweep")) : "",
    h("div", { className: "run-title" }, h("h2", {}, `${task} · ${model}`), state(facts.state)),
    h("p", { className: "quiet" }, [name, dataset, when(created)].filter(Boolean).join(" · ")),
    h(
      "div",
      { className: "buttons" },
      can_stop && kind === "run"
        ? acting("Stop and keep", () => ask(`/api/runs/${id}/stop`), {
            hint: "Finishes the step, saves, and ends as KILLED; it can be resumed",
          })
        : "",
      can_kill && kind === "run"
        ? acting("Stop now", () => ask(`/api/runs/${id}/kill`), {
            kind: "danger",
            hint: "Ends its processes at once; what came after the last checkpoint is lost",
          })
        : "",
      can_resume && kind === "run"
        ? acting("Resume", () => ask(`/api/runs/${id}/resume`, again), { hint: "Goes on where it was saved last" })
        : "",
      can_edit
        ? acting(kind === "trial" ? "Use its values" : "Edit as new", edit, { hint: "Puts its values into the form" })
        : "",
      tracked
        ? acting("MLflow", () => mlflow([id], parts.said), {
            hint: "Its page in MLflow, whose server is started if none runs",
          })
        : "",
    ),
  );
}

export async function edit(id = shownId) {
  let values;
  try {
    values = await get(`/api/runs/${id}/form`);
  } catch (error) {
    for (const line of error.lines) notice(line, { kind: "bad" });
    return;
  }
  take(values, "The form has the values of the run, but for its tracking.", forOneRun());
  location.hash = "#/new";
}

const NOW = {
  starting: "starting: reading the data and building the model",
  stopping: "stopping: finishes the step and saves",
};

// Where the run stands, in words.
function where(p) {
  const all = p.epochs ?? "?";
  if (!facts.living) return `${p.epoch} of ${all} ${all === 1 ? "epoch" : "epochs"}`;
  if (facts.state in NOW) return NOW[facts.state];
  const under = p.phase === "training" && p.epoch < p.epochs ? p.epoch + 1 : p.epoch;
  const left = p.left === null ? "" : `${duration(p.left)} left at most`;
  return [`epoch ${under} of ${all}`, phase(p), left].filter(Boolean).join(" · ");
}

function phase(p) {
  if (p.phase === "concluding") return "measuring the best epoch, drawing";
  if (p.step === null) return "";
  return p.step === p.steps ? "measuring on the validation split" : `step ${p.step} of ${p.steps}`;
}

function progress() {
  const p = facts.progress;
  if (isNew(parts.progress, facts.living)) {
    const bar = h("progress", { "aria-label": "Epochs" });
    parts.progress.replaceChildren(facts.living ? bar : "", h("span", {}));
  }
  const bar = parts.progress.querySelector("progress");
  if (bar && facts.state === "starting") bar.removeAttribute("value");
  else if (bar) Object.assign(bar, { max: p.epochs || 1, value: p.epoch + p.share });
  say(parts.progress.lastChild, where(p));
  // Steps change every second, which nobody wants to have read out; epochs and states are told.
  say(
    parts.told,
    `${facts.state}, ${p.epoch} of ${p.epochs ?? "?"} epochs${p.best === null ? "" : `, best ${facts.monitor} ${number(p.best)}`}`,
  );
  tiles(p);
}

function tiles(p) {
  const waited = p.patience ? `${p.waited} of ${p.patience}` : `${p.waited}, no limit`;
  const shown = {
    [`Best ${facts.monitor}`]: p.best === null ? "–" : `${number(p.best)} in epoch ${p.best_epoch}`,
    ...(p.patience === null ? {} : { "Epochs without progress": waited }),
    "Images/s": p.speed ? number(p.speed, 3) : "–",
    "Trained for": duration(p.seconds),
    ...Object.fromEntries(
      Object.entries(facts.test)
        .slice(0, 3)
        .map(([name, value]) => [`Test ${name}`, number(value)]),
    ),
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
  for (const gpu of told.gpus)
    tile(`GPU ${gpu.index}`, `${gpu.load ?? "?"} %, ${gpu.used ?? "?"} of ${gpu.total ?? "?"} MiB`, true);
}

function log(lines) {
  const place = parts.log.lastChild,
    atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
  place.textContent = lines.join("\n");
  if (atEnd) place.scrollTop = place.scrollHeight;
}
