// The list of runs and sweeps, and which of them is open.

import { get, post } from "./api.js";
import { find, h, notice, number, say, when } from "./dom.js";
import { close as closeRun, isCutOff, open as openRun } from "./run.js";
import { close as closeSweep, open as openSweep } from "./sweep.js";

const PAUSE = 2500,
  FIRST = 100,
  LONGEST_PRESS = 10000,
  DATED = /^\d{4}-\d\d-\d\d\//; // the name of what nobody has named
let known = [],
  more = 0,
  text = "",
  larger = {},
  chosen = null,
  all = false,
  timer = 0,
  held = null, // since when a button is held down on the list
  late = false; // whether it is to be drawn after that
const ticked = new Set();

// `tasks`: what the catalogue knows of them.
export function build(tasks) {
  larger = Object.fromEntries(
    tasks.flatMap(({ name, metrics }) => Object.entries(metrics).map(([metric, more]) => [`${name} ${metric}`, more])),
  );
  find("runs-filter").addEventListener("input", draw);
  find("runs-sort").addEventListener("change", draw);
  find("runs-more").addEventListener("click", () => {
    all = true;
    draw();
  });
  const list = find("runs-list");
  list.addEventListener("pointerdown", () => (held = performance.now()));
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(release));
  find("compare").addEventListener("click", () => mlflow([...ticked], find("runs-said")));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  look();
}

export async function look() {
  clearTimeout(timer);
  try {
    const told = await get("/api/runs");
    const now = JSON.stringify(told);
    if (now !== text) {
      text = now;
      known = told.runs;
      more = told.more;
      for (const id of ticked) if (!known.some((run) => run.id === id)) ticked.delete(id);
      draw();
    }
    revive();
    const living = known.filter((run) => run.living).length;
    say(find("living"), living ? String(living) : "");
    find("living").hidden = !living;
    find("living").title = `${living} running`;
  } catch {
    /* said by api.js */
  }
  timer = setTimeout(look, document.hidden ? 10 * PAUSE : PAUSE);
}

// A run that goes on, from here or from a terminal, is followed again, and so is what the server was lost over.
function revive() {
  if (document.hidden || chosen?.kind !== "run") return;
  if (isCutOff() || known.some((run) => run.id === chosen.id && run.living)) openRun(chosen.id);
}

export function show(kind, id) {
  chosen = kind ? { kind, id } : null;
  if (kind === "sweep") {
    closeRun();
    openSweep(id);
  } else if (kind === "run") {
    closeSweep();
    openRun(id, true);
  } else {
    closeRun();
    closeSweep();
    find("detail").replaceChildren(h("p", { className: "empty" }));
  }
  draw();
}

const words = (run) =>
  [run.name, run.task, run.model, run.state, kind(run), ...differs(run)].join(" ").toLowerCase();

const kind = (run) => (run.repeat ? "repeat" : run.kind);
const differs = (run) => [run.dataset, ...(run.changed ?? [])].filter(Boolean);

// How many there are, and how many of them are shown.
function count(fitting) {
  if (!known.length) return "";
  if (fitting < known.length) return `${fitting} of ${more ? "the newest " : ""}${known.length}`;
  return more ? `${known.length} of ${known.length + more}, the newest` : `${known.length}`;
}

const metric = (run) => `${run.task} ${(run.monitor ?? "").replace(/^synthetic_/, "")}`;
const group = (run) => `${metric(run)} ${run.root ?? ""} ${run.dataset ?? ""}`;

// Only values of one metric of a task on one dataset compare with each other; of a sweep's other objectives it is not
// known which is better, and the order stays.
function best(runs) {
  const rank = (key, { value }) => (typeof value !== "number" ? Infinity : larger[key] ? -value : value);
  const groups = new Map();
  for (const run of runs) groups.set(group(run), [...(groups.get(group(run)) ?? []), run]);
  return [...groups.values()].flatMap((same) => {
    const key = metric(same[0]);
    return key in larger ? same.sort((a, b) => rank(key, a) - rank(key, b) || 0) : same;
  });
}

// What stands above the first run of each group.
function heading(run) {
  const text = [run.task, run.monitor, run.dataset].filter(Boolean).join(" · ");
  return text ? [h("li", { className: "group", title: run.root ?? "" }, text)] : [];
}

function nothingChosen(place) {
  if (!text) return; // the list has not come
  say(place, known.length ? "Choose a run." : "No run yet. Start one, here or on a terminal in this folder.");
}

function compare() {
  find("compare").disabled = ticked.size < 2;
  say(find("compare"), ticked.size ? `Compare ${ticked.size} in MLflow` : "Compare in MLflow");
}

// A list that is drawn anew between the press and the release of a button would lose the click.
function release() {
  if (held === null) return;
  held = null;
  if (late) draw();
}

function draw() {
  late = held !== null && performance.now() - held < LONGEST_PRESS;
  if (late) return;
  const wanted = find("runs-filter").value.trim().toLowerCase().split(/\s+/);
  const fitting = known.filter((run) => wanted.every((word) => words(run).includes(word)));
  const ordered = find("runs-sort").value === "best" ? best(fitting) : fitting;
  const shown = all ? ordered : ordered.slice(0, FIRST);
  say(find("runs-count"), count(fitting.length));
  find("runs-more").hidden = shown.length === fitting.length;
  const focused = document.activeElement?.dataset?.key;
  const isNext = (run, i) => ordered !== fitting && (!i || group(run) !== group(shown[i - 1]));
  find("runs-list").replaceChildren(...shown.flatMap((run, i) => [...(isNext(run, i) ? heading(run) : []), line(run)]));
  if (focused) find("runs-list").querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
  compare();
  if (!chosen) nothingChosen(find("detail").firstChild);
}

function line(run) {
  const tick =
    run.kind === "run"
      ? h("input", {
          type: "checkbox",
          "data-key": `tick-${run.id}`,
          checked: ticked.has(run.id),
          "aria-label": `Compare ${run.name}`,
          onchange: () => {
            if (tick.checked) ticked.add(run.id);
            else ticked.delete(run.id);
            compare();
          },
        })
      : h("span", { className: "no-tick" });
  const sweep = run.kind === "sweep";
  const name = !sweep ? "" : DATED.test(run.name) ? kind(run) : run.name;
  const title = [name, run.model, run.task].filter(Boolean).join(" · ") || "run";
  const value = run.value === null || run.value === undefined ? "" : number(run.value);
  const many = run.wanted ? `${run.trials} / ${run.wanted}` : `${run.trials}`;
  const trials = `${many} ${many === "1" ? "trial" : "trials"}`;
  const done = sweep ? trials : run.epochs ? `${run.epoch} / ${run.epochs}` : "";
  const link = h(
    "a",
    {
      href: `#/${run.kind}/${run.id}`,
      "data-key": `open-${run.id}`,
      "aria-current": chosen?.id === run.id ? "true" : null,
    },
    h(
      "span",
      { className: "top" },
      h("span", { className: "title" }, title),
      h("span", { className: "num", title: run.monitor ?? "" }, value),
    ),
    h(
      "span",
      { className: "sub" },
      state(run.state),
      h("span", {}, when(run.created)),
      h("span", { className: "num" }, done),
    ),
    differs(run).length ? h("span", { className: "differs" }, differs(run).join(" ")) : "",
  );
  link.title = [title, run.name, run.root, ...(run.changed ?? [])].filter(Boolean).join("\n");
  return h("li", {}, tick, link);
}

export const state = (name) => h("span", { className: `state ${name}` }, name);

// Opens runs in MLflow: its server may take half a minute to start, which is said.
export async function mlflow(ids, place) {
  const tab = h("a", { target: "_blank", rel: "noopener", className: "button" });
  try {
    for (let i = 0; ; i += 1) {
      const told = await post("/api/mlflow", { ids });
      if (told.state === "ready") {
        tab.href = told.url;
        tab.textContent = ids.length > 1 ? "Open the comparison in MLflow" : "Open in MLflow";
        place.replaceChildren(tab);
        tab.focus();
        return;
      }
      if (told.state === "failed") throw Object.assign(new Error(told.reason), { lines: [told.reason] });
      place.replaceChildren(
        h("progress", { "aria-label": "MLflow starts" }),
        ` MLflow's pages are starting, ${i} s; the first time takes half a minute.`,
      );
      await new Promise((go) => setTimeout(go, 1000));
    }
  } catch (error) {
    place.replaceChildren(h("span", { className: "error" }, (error.lines ?? [String(error)]).join(" ")));
  }
}

export async function ask(path, after) {
  try {
    await post(path);
    after?.();
  } catch (error) {
    notice(`${error.status ? "" : "Not done: "}${error.lines.join(" ")}`, { kind: "bad" });
    return error.lines.join(" ");
  }
  look();
  return "";
}
