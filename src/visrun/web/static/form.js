// The form: every change asks the server what the page has to show, and the newest answer counts.

import { post } from "./api.js";
import { button, find, h, notice, pass, say } from "./dom.js";
import { field, lines, options } from "./field.js";
import { copy, forget, form, listen, pick, replace, reset } from "./store.js";

const AWAY = 2500; // ms until a server that does not answer is asked again

const fields = [];
const watchers = [];
let catalog,
  task,
  model,
  more = null;
let underway = null, // the change whose answer is awaited
  again = null; // what is asked next
export let view = null;

export const watch = (watcher) => watchers.push(watcher);

export function build(told) {
  catalog = told;
  const place = find("form");
  place.addEventListener("submit", (event) => event.preventDefault());
  for (const part of catalog.parts) {
    place.append(
      h(
        "fieldset",
        {},
        h("legend", {}, part.title),
        part.fields.map((facts) => add(facts).row),
      ),
    );
  }
  const meaning = Object.entries(catalog.sources)
    .filter(([name]) => name !== "you")
    .map(([name, text]) => `${name}: ${text}`);
  place.append(h("p", { className: "quiet legend" }, `Where defaults come from. ${meaning.join("; ")}.`));
  buildWhat();
  buildRecipes();
  find("more").addEventListener("toggle", buildMore);
  find("more-filter").addEventListener("input", filter);
  find("reset-all").addEventListener("click", resetAll);
  listen(outdated);
  listen(refresh);
}

export function add(facts, how = {}) {
  const made = field(facts, { sources: catalog.sources, ...how });
  fields.push(made);
  if (view) made.show(view);
  return made;
}

// The fields of the dataset's panel are made there, and shown like the others.
export const settingOf = (key) => catalog.more.flatMap((part) => part.fields).find((facts) => facts.key === key);

function buildWhat() {
  task = h("select", { id: "task", onchange: () => pick({ task: task.value }) });
  options(
    task,
    catalog.tasks.map((known) => known.name),
    "",
    (name) => catalog.tasks.find((known) => known.name === name)?.label ?? name,
  );
  model = h("select", { id: "model", onchange: () => pick({ model: model.value }) });
  const back = button("", () => reset("model"), { id: "model-back", className: "plain back", hidden: true });
  find("what").append(
    h(
      "div",
      { className: "stack" },
      h("div", { className: "name" }, h("label", { htmlFor: "task" }, "Task"), h("code", {}, "task")),
      task,
      h("div", { id: "task-message", className: "message" }),
    ),
    h(
      "div",
      { className: "stack", id: "field-model-row" },
      h("div", { className: "name" }, h("label", { htmlFor: "model" }, "Model"), h("code", {}, "model"), back),
      model,
    ),
  );
}

// What the recipe that was taken last has brought: the next one takes its place.
let brought = null;
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
function withoutRecipe() {
  const mine = copy();
  for (const [key, value] of Object.entries(brought?.touched ?? {}))
    if (same(mine.touched[key], value)) delete mine.touched[key];
  if (brought?.model && brought.model === mine.model) mine.model = null;
  return mine;
}

// Not a field: its values become the form's, below what the user has changed.
function buildRecipes() {
  const recipe = find("recipe");
  options(recipe, ["", ...catalog.recipes], "", (name) => name || "Take a recipe …");
  recipe.addEventListener("change", async () => {
    const name = recipe.value;
    recipe.value = "";
    const [former, mine] = [brought, withoutRecipe()];
    try {
      const { kept, ...whole } = await post("/api/recipe", { ...mine, recipe: name });
      const yours = kept.length ? ` Kept as you set them: ${kept.join(", ")}.` : "";
      take(whole, `The form has the values of recipe=${name}.${yours}`, () => (brought = former));
      const changed = Object.entries(whole.touched).filter(([key, value]) => !same(mine.touched[key], value));
      brought = { model: whole.model === mine.model ? null : whole.model, touched: Object.fromEntries(changed) };
    } catch (error) {
      notice(error.lines.join(" "), { kind: "bad" });
    }
  });
}

// The settings beside the form are many and rarely needed: made when they are first looked at.
function buildMore() {
  if (more || !find("more").open) return;
  const elsewhere = ["data", "data.root"];
  more = catalog.more.flatMap((part) => {
    const made = part.fields.filter((facts) => !elsewhere.includes(facts.key)).map((facts) => add(facts));
    if (!made.length) return [];
    find("more-body").append(
      h(
        "fieldset",
        {},
        h("legend", {}, part.title.replaceAll("_", " ")),
        made.map((one) => one.row),
      ),
    );
    return made;
  });
  filter();
}

function filter() {
  const text = find("more-filter").value.trim().toLowerCase();
  for (const one of more ?? [])
    one.row.classList.toggle("filtered", text !== "" && !one.row.textContent.toLowerCase().includes(text));
}

// How to end each Undo that would take back what is changed from now on as well.
const undos = [];
const outdated = () => undos.splice(0).forEach((end) => end());

// The form becomes another one, which is said and can be undone; `undone` sets back what else has changed.
export function take(whole, told, undone = () => {}) {
  const before = copy();
  const undo = () => {
    undone();
    replace(before);
  };
  replace(whole);
  const line = notice(told, { label: "Undo", action: undo });
  undos.push(() => line.remove());
}

const resetAll = () => take({ task: form.task }, "Everything is back to its default.");

// One request at a time; of the changes in between only the last is asked for, and its answer stands for all of them:
// an undo leads to what was shown before the first.
export async function refresh(change = {}) {
  if (underway) {
    const first = again ?? underway;
    again = { told: change.told || first.told, before: first.before ?? change.before };
    return;
  }
  underway = change;
  try {
    const answer = await post("/api/view", form);
    if (!again) show(answer, change);
  } catch (error) {
    if (error.status === 422) unusable(error.lines);
    else if (error.status) notice(error.lines.join(" "), { kind: "bad" });
    else {
      await new Promise((go) => setTimeout(go, AWAY));
      again ??= change;
    }
  } finally {
    underway = null;
    if (again) {
      const next = again;
      again = null;
      refresh(next);
    }
  }
}

// A draft of another version, or config files of the user's own that do not compose.
function unusable(problems) {
  find("start-problems").replaceChildren(...problems.map((line) => h("p", {}, line)));
  find("start").disabled = true;
  notice(problems.join(" "), { kind: "bad", label: "Reset all", action: () => replace({ task: catalog.task }) });
}

function show(answer, { told, before }) {
  const former = view;
  view = answer;
  pass();
  dropped(answer.dropped, before);
  task.value = answer.task;
  showModel(answer);
  for (const one of fields) one.show(answer);
  lines(find("task-message"), task, "task", answer);
  const changed = Object.keys(form.touched).filter((key) => answer.fields[key]?.changed);
  find("reset-all").hidden = changed.length === 0 && form.model === null;
  const inForm = catalog.parts.flatMap((part) => part.fields.map((facts) => facts.key));
  const others = changed.filter((key) => !inForm.includes(key) && !["data", "data.root"].includes(key));
  say(find("more-changed"), others.length ? `${others.length} changed: ${others.join(", ")}` : "");
  if (find("space").hidden) showCommand(answer.command);
  if (told && former) announce(former, answer);
  for (const watcher of watchers) watcher(answer);
}

// What Copy takes; "" where nothing can be started: a value is wrong, or the command is not known yet.
export function showCommand(text, awaited = false) {
  say(find("command"), text);
  find("command").classList.toggle("awaited", awaited);
  find("copy").disabled = text === "";
}

function dropped(gone, before) {
  const keys = Object.keys(gone);
  if (!keys.length) return;
  forget(keys);
  for (const key of keys) {
    const undo = before ? { label: "Undo", action: () => replace(before) } : {};
    const line = notice(`${gone[key]}. It is back to its default.`, { kind: "warn", ...undo });
    if (before) undos.push(() => line.querySelector("button").remove()); // what it says stays true
  }
}

// Which defaults changed along with a choice, and which values the user keeps.
function announce(former, now) {
  const moved = Object.keys(now.fields).filter((key) => {
    const before = former.fields[key],
      after = now.fields[key];
    return (
      !key.includes(".") &&
      after.shown &&
      before.shown &&
      !after.changed &&
      !before.changed &&
      before.text !== after.text
    );
  });
  if (!moved.length) return;
  const kept = Object.keys(form.touched).filter((key) => now.fields[key]?.shown && !key.includes("."));
  const told = moved.map((key) => `${key} ${former.fields[key].text || "none"} → ${now.fields[key].text || "none"}`);
  notice(`Defaults changed: ${told.join(", ")}.${kept.length ? ` Kept as you set them: ${kept.join(", ")}.` : ""}`);
  for (const one of fields) if (moved.includes(one.key)) flash(one.row);
}

function flash(row) {
  row.classList.remove("moved");
  requestAnimationFrame(() => row.classList.add("moved"));
}

function showModel(answer) {
  const { all, name, default: usual } = answer.model;
  options(
    model,
    all.map((known) => known.name),
    name,
    (one) => {
      const facts = all.find((known) => known.name === one);
      const size = facts?.parameters ? `${facts.parameters} M, ` : "";
      return facts ? `${one}  (${size}${facts.size} px, speed ${facts.speed}, accuracy ${facts.accuracy})` : one;
    },
  );
  model.value = name;
  const back = find("model-back");
  back.hidden = form.model === null || usual === name;
  say(back, `Reset to default (${usual})`);
  const facts = all.find((known) => known.name === name);
  const rating = (title, value) =>
    h(
      "div",
      {},
      h("dt", {}, title),
      h(
        "dd",
        { "aria-label": `${value} of 3`, className: "rating" },
        "●".repeat(value),
        h("span", {}, "●".repeat(3 - value)),
      ),
    );
  find("model-facts").replaceChildren(
    h(
      "dl",
      {},
      h("div", {}, h("dt", {}, "Parameters"), h("dd", {}, facts.parameters ? `${facts.parameters} M` : "not known")),
      h("div", {}, h("dt", {}, "Image size"), h("dd", {}, `${facts.size} px`)),
      rating("Speed", facts.speed),
      rating("Accuracy", facts.accuracy),
      h("div", {}, h("dt", {}, "Published weights"), h("dd", {}, facts.pretrained ? "yes" : "no")),
    ),
  );
}
