// One sweep: its trials as they come in, the best of them, and what matters.

import { get } from "./api.js";
import { button, entitle, find, h, isNew, number, say, when } from "./dom.js";
import { bars, heads, showEnd, showPictures } from "./parts.js";
import { ask, mlflow, state } from "./runs.js";
import { showTrials } from "./trials.js";

const PAUSE = 1500;
let shownId = null,
  timer = 0,
  facts = null,
  parts = null;

export function close() {
  clearTimeout(timer);
  shownId = null;
}

export function open(id) {
  if (shownId !== id) {
    facts = null;
    parts = frame();
    find("detail").replaceChildren(...Object.values(parts));
  }
  shownId = id;
  look();
}

function frame() {
  return {
    head: h("div", { className: "run-head" }),
    said: h("p", { className: "quiet answer", role: "status" }),
    progress: h("div", { className: "progress", role: "status", "aria-live": "polite" }),
    problem: h("div", { className: "failure", role: "alert" }),
    matters: h("div", {}),
    trials: h("div", { className: "scroll card" }),
    pictures: h("div", { className: "pictures" }),
    log: h(
      "details",
      { className: "card" },
      h("summary", {}, "Log and command"),
      h("pre", { className: "command", tabIndex: 0 }),
      h("pre", { className: "log", tabIndex: 0 }),
    ),
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
    if (error.status === 404 && id === shownId) {
      close();
      find("detail").replaceChildren(h("p", { className: "error" }, "There is no such sweep."));
      return;
    }
  }
  const busy = facts?.living || facts?.trials.some((trial) => trial.state === "running"); // or about to end
  if (id === shownId) timer = setTimeout(look, busy ? PAUSE : 6 * PAUSE);
}

function show() {
  head();
  const { ended, wanted } = facts;
  const best = facts.trials.filter((trial) => facts.best.includes(trial.number));
  const told = [
    `${ended}${wanted ? ` of ${wanted}` : ""} trials`,
    ...Object.entries(facts.counts).map(([name, count]) => `${count} ${name}`),
    best.length === 1 ? `best ${facts.objectives[0]} ${number(best[0].value)} in trial ${best[0].number}` : "",
    best.length > 1 ? `${best.length} on the Pareto front` : "",
  ]
    .filter(Boolean)
    .join(" · ");
  const bar = parts.progress.querySelector("progress") ?? h("progress", { "aria-label": "Trials" });
  bar.max = wanted || Math.max(ended, 1);
  bar.value = ended;
  if (!parts.progress.firstChild) parts.progress.append(bar, h("span", {}));
  say(parts.progress.lastChild, told);
  const sign = facts.living ? "" : facts.ended_badly ? "✗" : ended === wanted ? "✓" : facts.state;
  entitle(sign, `${ended}${wanted ? ` of ${wanted}` : ""}`, best.length === 1 ? number(best[0].value, 3) : "", "sweep");
  showEnd(parts.problem, facts);
  if (isNew(parts.matters, facts.importance, facts.repeat)) parts.matters.replaceChildren(importance(), spread());
  showTrials(parts.trials, facts);
  showPictures(parts.pictures, shownId, facts.pictures);
  const [command, log] = parts.log.querySelectorAll("pre");
  say(command, facts.command ?? "");
  command.hidden = !facts.command;
  say(log, facts.log.join("\n"));
  log.hidden = !facts.log.length; // of a sweep that was typed
}

function head() {
  if (!isNew(parts.head, facts.state, facts.can_stop, facts.can_kill, facts.can_resume, facts.tracked)) return;
  const id = shownId;
  const asking = (title, path, className, hint) =>
    button(title, () => ask(`/api/runs/${id}/${path}`, look), { className, title: hint });
  parts.head.replaceChildren(
    h("div", { className: "run-title" }, h("h2", {}, `${facts.repeat ? "Repeat" : "Sweep"} · ${facts.task}`), state(facts.state)),
    h("p", { className: "quiet" }, [facts.name, facts.dataset, when(facts.created)].filter(Boolean).join(" · ")),
    h(
      "div",
      { className: "buttons" },
      facts.can_stop ? asking("Stop and keep", "stop", "", "Its trials save and end; it can go on later") : "",
      facts.can_kill ? asking("Stop now", "kill", "danger", "Ends all its processes at once") : "",
      facts.can_resume ? asking("Go on", "resume", "", "Runs what is left of it") : "",
      facts.tracked ? button("MLflow", () => mlflow([id], parts.said)) : "",
    ),
  );
}

function importance() {
  const rows = Object.entries(facts.importance).map(([name, share]) => ({
    name: h("code", {}, name),
    share,
    text: `${Math.round(100 * share)} %`,
  }));
  const table = bars("Importance: share of the variance that each parameter explains", rows);
  const section = h("section", { className: "card histogram", "aria-label": "Importance" }, table);
  return rows.length ? section : "";
}

// What the runs of a repeat come to.
function spread() {
  const rows = Object.entries(facts.repeat ?? {}).map(([name, { n, mean, std, low, high }]) => {
    const interval = n > 1 ? `${number(low)} to ${number(high)}` : "–";
    const cells = [n, number(mean), number(std), interval].map((text) => h("td", { className: "num" }, `${text}`));
    return h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), cells);
  });
  const titles = ["Metric", "Runs", "Mean", "Deviation", "95 % interval of the mean"];
  const table = h("table", { className: "trials" }, heads(titles), h("tbody", {}, rows));
  return rows.length ? h("section", { className: "card scroll", "aria-label": "Over all runs" }, table) : "";
}
