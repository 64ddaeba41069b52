// A field for a path, as a combobox: what exists is offered as one types, and never taken unasked.

import { post } from "./api.js";
import { h, say } from "./dom.js";

const PAUSE = 150; // ms without a key before the server is asked

// What belongs behind `input` in its box; `kind`: what the path is to be, as the server knows it.
export function offered(input, kind) {
  const list = h("ul", { role: "listbox", id: `${input.id}-offers`, "aria-label": "What there is" });
  const rest = h("p", { className: "quiet" }, "There is more: type on.");
  const box = h("div", { className: "offers", hidden: true, onmousedown: (event) => event.preventDefault() }, list, rest);
  const told = h("span", { className: "unseen", role: "status" });
  let active = -1,
    timer = 0,
    turn = 0;

  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id }))
    input.setAttribute(name, value);
  close();

  function close() {
    clearTimeout(timer);
    turn += 1;
    box.hidden = true;
    mark(-1);
    input.setAttribute("aria-expanded", "false");
    say(told, "");
  }

  function mark(number) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = number;
    const option = list.children[active];
    if (!option) return input.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", option.id);
  }

  function ask(text, pause = PAUSE) {
    clearTimeout(timer);
    const mine = ++turn;
    timer = setTimeout(async () => {
      const found = await post("/api/offers", { text, kind }).catch(() => null);
      if (mine !== turn || document.activeElement !== input) return;
      const [first, ...others] = found?.offers ?? [];
      if (first?.folder && first.value === text && !others.length) ask(`${text}/`, 0); // what is in it, then
      else show(found?.offers ?? [], found?.more);
    }, pause);
  }

  function show(offers, more) {
    if (!offers.length) return close();
    mark(-1);
    list.replaceChildren(
      ...offers.map((one, i) => {
        const name = one.folder && !one.name.endsWith("/") ? `${one.name}/` : one.name;
        const option = { role: "option", id: `${list.id}-${i}`, "aria-selected": "false", title: one.value };
        return Object.assign(h("li", { ...option, onclick: () => take(one) }, name), { taken: one });
      }),
    );
    rest.hidden = !more;
    box.hidden = false;
    list.scrollTop = 0;
    input.setAttribute("aria-expanded", "true");
    say(told, `${offers.length}${more ? " or more" : ""} to choose from`);
  }

  // Of a folder that was taken, what is inside is offered next.
  function take({ value, folder }) {
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    close();
    if (folder) ask(value.replace(/\/*$/, "/"), 0);
  }

  function step(by) {
    if (box.hidden) return ask(input.value, 0);
    const all = list.children.length;
    mark(active < 0 ? (by > 0 ? 0 : all - 1) : (active + by + all) % all);
  }

  const keys = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => (active < 0 ? (close(), false) : (take(list.children[active].taken), true)),
    Tab: () => active >= 0 && (take(list.children[active].taken), close(), false), // and the focus goes on
    Escape: () => !box.hidden && (close(), true),
  };
  input.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing || !(event.key in keys)) return;
    if (keys[event.key]() !== false) event.preventDefault();
  });
  input.addEventListener("input", () => ask(input.value), true);
  input.addEventListener("click", () => box.hidden && ask(input.value, 0));
  input.addEventListener("blur", close);
  return h("div", { className: "offered" }, box, told);
}
