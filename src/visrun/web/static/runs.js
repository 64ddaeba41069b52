// The list of runs and sweeps, and which of them is open.

import { get, post } from "./api.js";
import { find, h, notice, number, say, when } from "./dom.js";
import { close as closeRun, isCutOff, open as openRun } from "./run.js";
import { close as closeSweep, open as openSweep } from "./sweep.js";

const PAUSE = 2500,
  FIRST = 100,
  DATED = /^\d{4}-\d\d-\d\d\//; // the name of what nobody has named
let known = [],
  text = "",
  chosen = null,
  all = false,
  timer = 0;
const ticked = new Set();

export function build() {
  find("runs-filter").addEventListener("input", draw);
  find("runs-more").addEventListener("click", () => {
    all = true;
    draw();
  });
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
    const now = JSON.stringify(told.runs);
    if (now !== text) {
      text = now;
      known = told.runs;
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
  if (chosen?.kind !== "run") return;
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
    find("detail").replaceChildren(
      h(
        "p",
        { className: "empty" },
        known.length ? "Choose a run." : "No run yet. Start one, here or on a terminal in this folder.",
      ),
    );
  }
  draw();
}

const words = (run) => [run.name, run.task, run.model, run.state, run.kind].join(" ").toLowerCase();

function draw() {
  const wanted = find("runs-filter").value.trim().toLowerCase().split(/\s+/);
  const fitting = known.filter((run) => wanted.every((word) => words(run).includes(word)));
  const shown = all ? fitting : fitting.slice(0, FIRST);
  say(
    find("runs-count"),
    known.length ? `${fitting.length === known.length ? "" : `${fitting.length} of `}${known.length}` : "",
  );
  find("runs-more").hidden = shown.length === fitting.length;
  const focused = document.activeElement?.dataset?.key;
  find("runs-list").replaceChildren(...shown.map(line));
  if (focused) find("runs-list").querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
  find("compare").disabled = ticked.size < 2;
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
            find("compare").disabled = ticked.size < 2;
          },
        })
      : h("span", { className: "no-tick" });
  const sweep = run.kind === "sweep";
  const name = !sweep ? "" : DATED.test(run.name) ? "sweep" : run.name;
  const value = run.value === null || run.value === undefined ? "" : number(run.value);
  const trials = `${run.trials} ${run.trials === 1 ? "trial" : "trials"}`;
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
      h("span", { className: "title" }, [run.task || "run", run.model, name].filter(Boolean).join(" · ")),
      h("span", { className: "num", title: run.monitor ?? "" }, value),
    ),
    h(
      "span",
      { className: "sub" },
      state(run.state),
      h("span", {}, when(run.created)),
      h("span", { className: "num" }, done),
    ),
  );
  link.title = run.name;
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
    notice(error.lines.join(" "), { kind: "bad" });
    return error.lines.join(" ");
  }
  look();
  return "";
}
