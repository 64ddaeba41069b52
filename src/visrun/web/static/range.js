// One field that may vary: its tick, and its range or its choices.

import { h } from "./dom.js";

export function row(name, range, ticked, changed) {
  const id = `vary-${name.replaceAll(".", "-")}`;
  const tick = h("input", { type: "checkbox", id, checked: ticked, onchange: changed });
  const text = (part) =>
    h("input", {
      type: "text",
      inputMode: "decimal",
      "aria-label": `${name} ${part}`,
      oninput: changed,
      spellcheck: false,
    });
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
        changed();
      },
    },
    ["even", "log", "step"].map((kind) => h("option", { value: kind }, kind)),
  );
  list.inputMode = "text";
  const cells = [h("td", {}, low), h("td", {}, high), h("td", { className: "scale" }, scale, step)];
  const whole = h("td", { colSpan: 3 }, list);
  const element = h("tr", {}, h("th", { scope: "row" }, h("label", { htmlFor: id }, tick, " ", h("code", {}, name))));
  let choices = false;

  function set(space, on) {
    choices = Array.isArray(space.choices) || !("low" in space);
    tick.checked = on;
    list.value = (space.choices ?? []).map(String).join(", ");
    low.value = space.low ?? "";
    high.value = space.high ?? "";
    step.value = space.step ?? "";
    scale.value = space.log ? "log" : space.step ? "step" : "even";
    step.hidden = scale.value !== "step";
    element.replaceChildren(element.firstChild, ...(choices ? [whole] : cells));
  }

  function value() {
    if (choices)
      return {
        choices: list.value
          .split(",")
          .map((one) => one.trim())
          .filter(Boolean),
      };
    const ends = { low: low.value.trim(), high: high.value.trim() };
    return scale.value === "log"
      ? { ...ends, log: true }
      : scale.value === "step"
        ? { ...ends, step: step.value.trim() }
        : ends;
  }

  set(range, ticked);
  return { name, element, tick, set, value };
}
