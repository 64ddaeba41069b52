// Elements. Texts are set as text, never as markup.

export const find = (id) => document.getElementById(id);

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const button = (title, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, title);

// A field for what is no prose, such as a number or a path.
export const textField = (more) => h("input", { type: "text", spellcheck: false, autocomplete: "off", ...more });

// A setting's key, which breaks behind its dots only.
export function code(key) {
  const [first, ...others] = key.split(/(?<=\.)/);
  return h("code", {}, first, ...others.flatMap((part) => [h("wbr"), part]));
}

export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Whether facts differ from those of the last call for this place: only then it is drawn anew, and focus stays.
export function isNew(place, ...facts) {
  const text = JSON.stringify(facts);
  if (place.dataset.facts === text) return false;
  place.dataset.facts = text;
  return true;
}

// A new text only where it differs, so that a screen reader is not told the same twice.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// What the tab is called.
export function entitle(...parts) {
  document.title = `${parts.filter((part) => part !== "").join(" · ")} – visrun`;
}

export function number(value, digits = 4) {
  if (typeof value !== "number" || !isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(digits)));
}

export function duration(seconds) {
  if (typeof seconds !== "number" || !isFinite(seconds)) return "–";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function bytes(count) {
  if (!count) return "–";
  return count > 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${Math.round(count / 1e6)} MB`;
}

export function when(text) {
  const date = new Date(text ?? "");
  const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return isNaN(date)
    ? ""
    : date.toLocaleString([], { ...year, month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}

// A message, of which the newest few stay. One that asks for nothing goes with the next change or page, see `pass`.
export function notice(text, { kind = "", action, label } = {}) {
  const place = find(action || kind === "bad" ? "notices" : "passing");
  const line = h("div", { className: `notice ${kind}` }, h("span", {}, text));
  const acted = () => {
    line.remove();
    action();
  };
  if (action) line.append(button(label, acted));
  line.append(button("✕", () => line.remove(), { className: "plain", "aria-label": "Dismiss" }));
  place.prepend(line);
  while (place.children.length > 4) place.lastChild.remove();
  return line;
}

export const pass = () => find("passing").replaceChildren();
