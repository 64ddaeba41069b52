// The page's beginning: what there is, the form as it was left, and which page the address names.

import { get, post, ticket } from "./api.js";
import { Chart, recolour } from "./charts.js";
import * as dataset from "./dataset.js";
import { button, entitle, find, h, notice, pass, say } from "./dom.js";
import * as form from "./form.js";
import * as runs from "./runs.js";
import * as space from "./space.js";
import { form as state, restore } from "./store.js";

const THEMES = ["auto", "light", "dark"];

async function begin() {
  const catalog = await get("/api/catalog");
  restore(catalog);
  say(find("cwd"), catalog.cwd);
  form.build(catalog);
  dataset.build(catalog);
  space.build(showStart);
  watchCurve();
  form.watch(showStart);
  buttons();
  await form.refresh();
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
  runs.build(catalog.tasks);
  addEventListener("hashchange", route);
  route();
}

function route(event) {
  const [, page, id] = location.hash.split("/");
  const listed = ["runs", "run", "sweep"].includes(page);
  find("new").hidden = listed;
  find("runs").hidden = !listed;
  current(find("to-new"), !listed);
  current(find("to-runs"), listed);
  entitle(listed ? "Runs" : "New run");
  if (listed) {
    runs.show(page === "runs" ? null : page, id);
    runs.look();
  } else runs.show(null);
  if (!event) return;
  pass();
  refocus(find(listed ? "detail" : "main"));
}

// What had the focus is on the page that was left, and the new page is to be read out.
function refocus(place) {
  const focused = document.activeElement;
  if (focused === document.body || focused.closest("[hidden]")) place.focus();
}

function current(link, is) {
  if (is) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}

// By its address alone it would lead to another page: what stands behind # names one.
function skip(event) {
  event.preventDefault();
  find("main").focus();
}

function watchCurve() {
  const chart = new Chart(find("curve"));
  form.watch((view) => {
    const rates = view.curve;
    if (typeof rates === "string") {
      chart.say(rates);
      return;
    }
    const xs = rates.map((_, i) => i + 1);
    chart.show({ xs, series: [{ name: "learning_rate", values: rates }], from: 1, to: rates.length });
  });
}

function showStart() {
  const { errors } = form.view,
    varied = space.varied(),
    keys = Object.keys(errors).filter((key) => !varied.includes(key)),
    more = space.active() ? space.wrong : [];
  find("start").disabled = keys.length + more.length > 0;
  const jump = (key) => {
    const input = document.getElementById(key === "task" ? "task" : `field-${key.replaceAll(".", "-")}`);
    find("more").open ||= !input;
    input?.focus();
  };
  find("start-problems").replaceChildren(
    ...keys.map((key) =>
      h(
        "p",
        {},
        key ? button(errors[key].join(" "), () => jump(key), { className: "plain" }) : errors[key].join(" "),
      ),
    ),
    ...more.map((line) => h("p", {}, line)),
  );
}

function buttons() {
  find("skip").addEventListener("click", skip);
  find("start").addEventListener("click", start);
  find("copy").addEventListener("click", copy);
  find("save").addEventListener("click", save);
  find("load").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", load);
  find("theme").addEventListener("click", nextTheme);
  nameTheme();
}

async function start() {
  const button = find("start"),
    title = button.textContent;
  button.disabled = true;
  say(button, "Starting …");
  problems([]);
  try {
    if (dataset.wrong.length) await dataset.again();
    if (dataset.wrong.length) {
      problems(dataset.wrong);
      return;
    }
    const sweeps = space.active();
    const { id } = await (sweeps ? space.start() : post("/api/runs", { ...state, ticket: ticket() }));
    location.hash = `#/${sweeps ? "sweep" : "run"}/${id}`;
  } catch (error) {
    problems(error.lines ?? [String(error)]);
  } finally {
    button.disabled = false;
    say(button, title);
    refocus(button); // a disabled button loses it
  }
}

const problems = (lines) => find("start-problems").replaceChildren(...lines.map((line) => h("p", {}, line)));

async function copy() {
  const button = find("copy");
  await navigator.clipboard.writeText(find("command").textContent).then(
    () => say(button, "Copied"),
    () => getSelection().selectAllChildren(find("command")),
  );
  setTimeout(() => say(button, "Copy"), 1500);
}

async function save() {
  try {
    const content = await post("/api/experiment", state);
    const address = URL.createObjectURL(
      new Blob([`${JSON.stringify(content, null, 2)}\n`], { type: "application/json" }),
    );
    h("a", { href: address, download: "experiment.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  } catch (error) {
    problems(error.lines);
  }
}

async function load() {
  const [file] = find("file").files;
  find("file").value = "";
  if (!file) return;
  try {
    form.take(await post("/api/load", { text: await file.text() }), `Loaded ${file.name}.`);
  } catch (error) {
    const about = error.status === 413 ? `${file.name}: ` : ""; // refused before anybody looked into it
    for (const line of error.lines.slice(0, 3)) notice(about + line, { kind: "bad" });
  }
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "auto",
    next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("visrun.theme", next);
  } catch {
    /* no storage */
  }
  nameTheme();
  recolour();
}

const nameTheme = () => say(find("theme"), `Theme: ${document.documentElement.dataset.theme ?? "auto"}`);

begin().catch((error) => notice((error.lines ?? [String(error)]).join(" "), { kind: "bad" }));
