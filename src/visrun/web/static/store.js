// What the user picked and touched: the whole state of the form. It outlives a reload, in this tab first.

const NAME = "form";
const listeners = [];
let folder = "";

export const form = { task: "", model: null, touched: {} };

// The name of what is kept in this browser: servers of several folders may have one address after another.
export const keyOf = (name) => `visrun.${name}:${folder}`;

export function restore({ task, cwd }) {
  folder = cwd;
  Object.assign(form, { task, model: null, touched: {} }, saved() ?? {});
}

function saved() {
  for (const storage of [sessionStorage, localStorage]) {
    try {
      const kept = JSON.parse(storage.getItem(keyOf(NAME)));
      if (kept && typeof kept.task === "string" && kept.touched && typeof kept.touched === "object") return kept;
    } catch {
      /* nothing kept, or no storage */
    }
  }
  return null;
}

function keep() {
  const text = JSON.stringify(form);
  for (const storage of [sessionStorage, localStorage]) {
    try {
      storage.setItem(keyOf(NAME), text);
    } catch {
      /* no storage */
    }
  }
}

export const copy = () => JSON.parse(JSON.stringify(form));
export const listen = (listener) => listeners.push(listener);

// `told`: what changed with it is worth a message; `before`: what an undo goes back to.
function changed(told, before) {
  keep();
  for (const listener of listeners) listener({ told, before });
}

export function touch(key, value, told = false) {
  const before = copy();
  form.touched[key] = value;
  changed(told, before);
}

export function reset(...keys) {
  const before = copy();
  for (const key of keys) {
    if (key === "model") form.model = null;
    else delete form.touched[key];
  }
  changed(false, before);
}

// The server dropped values that the task cannot have.
export function forget(keys) {
  for (const key of keys) {
    if (key === "model") form.model = null;
    else delete form.touched[key];
  }
  keep();
}

export function pick(part) {
  const before = copy();
  Object.assign(form, part);
  changed(true, before);
}

export function replace(whole) {
  const before = copy();
  Object.assign(form, { model: null, touched: {} }, whole);
  changed(false, before);
}
