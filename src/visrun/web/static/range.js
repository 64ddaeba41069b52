// One field that may vary: its tick, its range or its choices, whether the user has edited these since they were
// filled, and why nothing would read it.

import { code, h, textField } from "./dom.js";

// How a problem begins: "ranges.learning_rate.low=", "ranges.learning_rate: low=", "ranges.batch_size=", "dropout: ".
const NAMES = /^(?:ranges\.)?([\w.]+?)(?:(?:\.|: )(low|high|step|choices))?[=:]/;

export function row(name, changed) {
  const id = `vary-${name.replaceAll(".", "-")}`;
  const tick = h("input", { type: "checkbox", id, onchange: changed });
  let choices = false,
    edited = false,
    why = "",
    wanted = false; // whether it is ticked, once something reads it
  const touched = () => {
    edited = true;
    changed();
  };
  const text = (part) =>
    textField({ inputMode: "decimal", "aria-label": `${name} ${part}`, oninput: touched });
  const low = text("from"),
    high = text("to"),
    step = text("step"),
    list = text("choices");
  const scale = h(
    "select",
    {
      "aria-label": `${name} scale`,
      onchange: () => {
        step.hidden = scale.value !== "step";
        touched();
      },
    },
    ["even", "log", "step"].map((kind) => h("option", { value: kind }, kind)),
  );
  list.inputMode = "text";
  const cells = [h("td", {}, low), h("td", {}, high), h("td", { className: "scale" }, scale, step)];
  const whole = h("td", { colSpan: 3 }, list),
    reason = h("td", { colSpan: 3, className: "why", id: `${id}-why` });
  const element = h("tr", {}, h("th", { scope: "row" }, h("label", { htmlFor: id }, tick, " ", code(name))));

  function set(space, on, own = false) {
    edited = own;
    choices = Array.isArray(space.choices) || !("low" in space);
    wanted = on;
    tick.checked = on && !why;
    list.value = (space.choices ?? []).map(spelt).join(", ");
    low.value = space.low ?? "";
    high.value = space.high ?? "";
    step.value = space.step ?? "";
    scale.value = space.log ? "log" : space.step ? "step" : "even";
    step.hidden = scale.value !== "step";
    show();
  }

  function show() {
    element.replaceChildren(element.firstChild, ...(why ? [reason] : choices ? [whole] : cells));
  }

  const ticked = () => (why ? wanted : tick.checked);

  // What nothing reads does not vary; its tick comes back with its reader.
  function off(now) {
    if (why === now) return;
    wanted = ticked();
    why = reason.textContent = now;
    tick.checked = wanted && !why;
    tick.disabled = why !== "";
    element.classList.toggle("off", tick.disabled);
    if (why) tick.setAttribute("aria-describedby", reason.id);
    else tick.removeAttribute("aria-describedby");
    show();
  }

  function value() {
    if (choices) return { choices: parts(list.value) };
    const ends = { low: low.value.trim(), high: high.value.trim() };
    return scale.value === "log"
      ? { ...ends, log: true }
      : scale.value === "step"
        ? { ...ends, step: step.value.trim() }
        : ends;
  }

  // A problem names the field, and mostly the end that is wrong.
  function markWrong(problems) {
    const mine = tick.checked ? problems.filter((line) => NAMES.exec(line)?.[1] === name) : [];
    const ends = mine.map((line) => NAMES.exec(line)[2]);
    for (const [part, input] of Object.entries({ low, high, step, choices: list })) {
      const bad = ends.some((end) => end === undefined || end === part);
      input.setAttribute("aria-invalid", String(bad));
      if (bad) input.setAttribute("aria-describedby", "space-problems");
      else input.removeAttribute("aria-describedby");
    }
  }

  return { name, element, tick, ticked, set, off, value, markWrong, edited: () => edited };
}

// A choice as its field shows it: one that is a list stands in brackets.
function spelt(choice) {
  return Array.isArray(choice) ? `[${choice.map(spelt).join(", ")}]` : String(choice);
}

// What stands between the commas that are outside of brackets.
function parts(text) {
  const found = [""];
  let depth = 0;
  for (const letter of text) {
    depth += letter === "[" ? 1 : letter === "]" ? -1 : 0;
    if (letter === "," && depth <= 0) found.push("");
    else found[found.length - 1] += letter;
  }
  return found.map((one) => one.trim()).filter(Boolean);
}
