// One field of the form: its control, key, help, source of its default, and what is wrong with it.

import { button, code, h, say, textField } from "./dom.js";
import { offered } from "./offers.js";
import { reset, touch } from "./store.js";

export function field(facts, { sources, title, choices }) {
  const id = `field-${facts.key.replaceAll(".", "-")}`;
  const input = control(facts, id, choices);
  const mark = h("span", { className: "mark", title: "changed by you", hidden: true }, "●");
  const said = `${facts.label} ${facts.help}`.toLowerCase();
  const help = h(
    "span",
    { className: "help", id: `${id}-help` },
    facts.help,
    facts.unit && !said.includes(facts.unit.toLowerCase()) ? ` In ${facts.unit}.` : "",
  );
  const origin = h("span", { className: "origin" });
  const undo = () => {
    reset(facts.key);
    input.focus();
  };
  const back = button("", undo, { className: "plain back", hidden: true });
  const message = h("div", { className: "message", id: `${id}-message` });
  input.setAttribute("aria-describedby", `${id}-message ${id}-help`);
  const output = facts.control === "slider" ? h("output", { htmlFor: id, className: "value" }) : null;
  const offers = facts.offers ? offered(input, facts.offers) : null;
  const row = h(
    "div",
    { className: "field", id: `${id}-row` },
    h("div", { className: "name" }, h("label", { htmlFor: id }, title ?? facts.label), mark, code(facts.key)),
    h("div", { className: "control" }, input, output, offers),
    h("div", { className: "about" }, help, h("span", { className: "line" }, origin, back)),
    message,
  );
  let given = "";

  // Never writes into the control that the user is in, except to take back a value that the server dropped.
  function write(text, changed) {
    given = text;
    const busy = document.activeElement === input && changed && !["SELECT"].includes(input.tagName);
    if (!busy && input.value !== text) {
      if (input.tagName === "SELECT" && ![...input.options].some((option) => option.value === text))
        input.add(new Option(text, text));
      input.value = text;
    }
    if (output) say(output, text);
  }

  function show(view) {
    const told = view.fields[facts.key];
    row.hidden = !told.shown;
    if (input.tagName === "SELECT") options(input, listed(facts, view), told.text);
    write(told.text, told.changed);
    input.disabled = "why" in told;
    row.classList.toggle("off", input.disabled);
    mark.hidden = back.hidden = !told.changed;
    row.classList.toggle("changed", told.changed);
    say(back, `Reset to default (${told.default || "none"})`);
    const takes = facts.takes && facts.control !== "select" ? `takes ${facts.takes}; ` : "";
    say(origin, `${takes}default from ${told.source}`);
    origin.title = sources[told.source] ?? "";
    lines(message, input, facts.key, view, told);
  }

  return { key: facts.key, row, input, show, text: () => given };
}

function control(facts, id, choices) {
  const common = { id, name: facts.key };
  if (facts.control === "select") {
    const select = h("select", { ...common, onchange: () => touch(facts.key, select.value, true) });
    options(select, choices ?? facts.choices, "");
    return select;
  }
  if (facts.control === "slider") {
    const slider = h("input", {
      ...common,
      type: "range",
      min: facts.low,
      max: facts.high,
      step: 0.01,
      oninput: () => touch(facts.key, slider.value),
    });
    return slider;
  }
  const number = facts.control === "number";
  const input = textField({
    ...common,
    inputMode: number ? "decimal" : "text",
    placeholder: facts.empty || (facts.control === "list" ? "30, 40" : ""),
    oninput: () => touch(facts.key, input.value),
  });
  return input;
}

// What a select offers in this view.
function listed(facts, view) {
  if (facts.key === "loss") return view.losses;
  if (facts.key === "run.monitor") return ["null", ...view.metrics];
  if (facts.key === "data") return view.layouts;
  return view.options[facts.key] ?? facts.choices;
}

export function options(select, names, chosen, label = (name) => name) {
  const wanted = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  const now = [...select.options];
  if (
    now.length === wanted.length &&
    now.every((option, i) => option.value === wanted[i] && option.text === label(wanted[i]))
  )
    return;
  select.replaceChildren(...wanted.map((name) => new Option(label(name), name)));
}

export function lines(place, input, key, view, told = {}) {
  const errors = view.errors[key] ?? [],
    warnings = view.warnings[key] ?? [],
    notices = view.notices[key] ?? [];
  const shown = [
    ...errors.map((text) => ["error", text]),
    ...(told.why ? [["why", told.why]] : []),
    ...warnings.map((text) => ["warning", text]),
    ...notices.map((text) => ["said", text]),
  ];
  const text = shown.map((line) => line.join(" ")).join("\n");
  if (place.dataset.text !== text) {
    place.dataset.text = text;
    place.replaceChildren(...shown.map(([kind, line]) => h("p", { className: kind }, line)));
  }
  input.setAttribute("aria-invalid", String(errors.length > 0));
}
