// What varies in a sweep: fields to tick with their ranges, filled from the ready spaces, and how many trials.

import { post, ticket } from "./api.js";
import { find, h, notice, say, textField } from "./dom.js";
import { refresh, showCommand, view, watch } from "./form.js";
import { heads } from "./parts.js";
import { row } from "./range.js";
import { form, keep, kept } from "./store.js";

const NAME = "space",
  NUMBERS = { trials: "hydra.sweeper.n_trials", slots: "hydra.sweeper.n_jobs" }; // field -> key
let offer = null,
  rows = [],
  asked = "",
  timer = 0,
  chosen = null,
  tell = null;
export let wrong = []; // what keeps a sweep from starting
export const active = () => document.querySelector("input[name=mode]:checked").value === "sweep";

// `ticked`: names, null before anything was drawn; `edited`: the ranges that are the user's own, by name.
function restored() {
  const fresh = { ready: "default", ticked: null, edited: {}, trials: null, pruner: "auto", slots: null };
  return { ...fresh, ...kept(NAME) };
}

// What the user made of the rows that are drawn.
function remember() {
  if (!rows.length) return;
  chosen.ticked = rows.filter((one) => one.ticked()).map((one) => one.name);
  chosen.edited = Object.fromEntries(rows.filter((one) => one.edited()).map((one) => [one.name, one.value()]));
}

function save() {
  remember();
  keep(NAME, { ...chosen, mode: active() ? "sweep" : "run" });
}

// `heard` is called whenever what is wrong with the sweep is known anew.
export function build(heard) {
  tell = heard;
  chosen = restored();
  for (const radio of document.querySelectorAll("input[name=mode]")) {
    radio.checked = radio.value === (chosen.mode ?? "run");
    radio.disabled = false; // what is chosen earlier would be lost
    radio.addEventListener("change", switched);
  }
  watch((now) => {
    if (active()) fill(now);
  });
  showMode();
}

function switched() {
  showMode();
  save();
  mark();
  if (active()) {
    asked = "";
    showCommand("", true); // not that of one run
    find("space").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  refresh();
}

// Values of a run or trial are those of one run; what is returned goes back.
export function forOneRun() {
  const before = document.querySelector("input[name=mode]:checked");
  document.querySelector("input[name=mode][value=run]").click();
  return () => before.click();
}

function showMode() {
  find("space").hidden = !active();
  say(find("start"), active() ? "Start sweep" : "Start training");
}

// The ranges follow the task, the model, the epochs and the batch size, so they are asked for when these change.
async function fill(now) {
  const key = JSON.stringify([now.task, now.model.name, now.fields.max_epochs.text, now.fields.batch_size.text]);
  if (key !== asked) {
    asked = key;
    try {
      offer = await post("/api/space", form);
    } catch (error) {
      if (!active()) return;
      find("space-body").replaceChildren(h("p", { className: "error" }, error.lines.join(" ")));
      wrong = error.lines;
      showCommand("");
      tell();
      return;
    }
    draw();
  }
  plan();
}

function draw() {
  remember();
  const names = [...new Set([...Object.keys(offer.fields), ...Object.values(offer.ready).flatMap(Object.keys)])];
  const ticked = chosen.ticked ?? Object.keys(tickedBy(chosen.ready));
  rows = names.map((name) => filled(name, ticked.includes(name)));
  const ready = h(
    "select",
    { id: "ready", onchange: () => choose(ready) },
    Object.keys({ ...offer.ready, ...offer.unfit }).map((name) => h("option", { value: name }, name)),
  );
  ready.value = chosen.ready;
  const trials = textField({
    id: "trials",
    inputMode: "numeric",
    value: chosen.trials ?? offer.usual,
    placeholder: `all, or ${offer.usual}`,
    oninput: changed,
  });
  const slots = textField({
    id: "slots",
    inputMode: "numeric",
    value: chosen.slots ?? offer.slots,
    oninput: changed,
  });
  const pruner = h(
    "select",
    { id: "pruner", onchange: changed },
    offer.pruners.map((name) => h("option", { value: name }, name)),
  );
  pruner.value = chosen.pruner;
  const labelled = (title, input, hint) =>
    h("div", { className: "stack", title: hint }, h("label", { htmlFor: input.id }, title), input);
  find("space-body").replaceChildren(
    h(
      "div",
      { className: "space-top" },
      labelled("Ready space", ready, "Ticks the fields of a ready space and fills in their ranges"),
      labelled("Trials", trials, `Trials in all; empty: each combination once, or ${offer.usual} where a range is continuous`),
      labelled("Slots", slots, `Trials at a time; this machine has ${offer.cores} cores`),
      labelled("Pruner", pruner, "Ends trials that cannot win; auto: in a search of ten trials or more"),
    ),
    h(
      "div",
      { className: "scroll" },
      h(
        "table",
        { className: "ranges" },
        heads(["Field", "From", "To", "Scale"]),
        h(
          "tbody",
          {},
          rows.map((one) => one.element),
        ),
      ),
    ),
    h("p", { id: "space-problems", className: "error", role: "alert" }),
  );
}

// Only a range of the user's own stays; any other follows the form, and one that leaves nothing to vary is not ticked.
function filled(name, ticked) {
  const one = row(name, changed),
    own = chosen.edited[name],
    range = own ?? offered(name);
  one.set(range, ticked && Object.keys(range).length > 0, own !== undefined);
  return one;
}

function offered(name) {
  const spaces = [
    offer.ready[chosen.ready]?.[name],
    offer.fields[name],
    ...Object.values(offer.ready).map((ready) => ready[name]),
  ];
  return spaces.find((space) => space && Object.keys(space).length) ?? {};
}

function tickedBy(ready) {
  const space = offer.ready[ready] ?? {};
  return Object.fromEntries(Object.entries(space).filter(([, range]) => Object.keys(range).length));
}

// A file of the user's own that does not fit fills in nothing, and says why.
function choose(ready) {
  const problems = offer.unfit[ready.value];
  if (problems) {
    for (const line of problems) notice(line, { kind: "bad" });
    ready.value = chosen.ready;
    return;
  }
  chosen.ready = ready.value;
  const ticked = tickedBy(chosen.ready);
  for (const one of rows) one.set(ticked[one.name] ?? offered(one.name), one.name in ticked);
  changed();
}

const ranges = () => Object.fromEntries(rows.filter((one) => one.tick.checked).map((one) => [one.name, one.value()]));

export const varied = () => (active() ? Object.keys(ranges()) : []);

function changed() {
  for (const name of ["trials", "slots", "pruner"]) chosen[name] = find(name).value;
  save();
  clearTimeout(timer);
  timer = setTimeout(plan, 200);
}

const body = () => ({
  ...form,
  ranges: ranges(),
  trials: find("trials").value.trim() === "" ? null : entered("trials"),
  slots: entered("slots"),
  pruner: find("pruner").value,
});

// A whole number, or the text that the server refuses in words.
function entered(id) {
  const text = find(id).value.trim();
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

// The sweep's command, live; what is wrong with it stands below the ranges and at the start, which it blocks.
async function plan() {
  grey();
  mark();
  if (!active() || !offer || !find("trials")) return;
  const text = JSON.stringify(body());
  try {
    const answer = await post("/api/plan", JSON.parse(text));
    if (active() && text === JSON.stringify(body())) planned(answer.command, answer.problems);
  } catch (error) {
    if (active() && text === JSON.stringify(body())) planned("", error.lines);
  }
}

// What the form's model does not read varies only together with the model, and only where another model reads it.
function grey() {
  const varies = rows.some((one) => one.name === "model" && one.tick.checked);
  for (const one of rows) one.off(((!varies || offer?.unread.includes(one.name)) && view.fields[one.name]?.why) || "");
}

// In the form, whose value does not count for what varies.
function mark() {
  const places = varied().map((name) => `field-${name.replaceAll(".", "-")}-row`);
  for (const place of document.querySelectorAll("[id$='-row']")) place.classList.toggle("varies", places.includes(place.id));
}

function planned(command, problems) {
  wrong = problems;
  showCommand(problems.length ? "" : command);
  say(find("space-problems"), problems.join("\n"));
  for (const one of rows) one.markWrong(problems);
  for (const [id, key] of Object.entries(NUMBERS))
    find(id).setAttribute("aria-invalid", String(problems.some((line) => line.startsWith(`${key}=`))));
  tell();
}

export const start = () => post("/api/sweeps", { ...body(), ticket: ticket() });
