// What the user picked and touched: the whole state of the form. It outlives a reload, in this tab first.

const NAME = "form";
const listeners = [];
let folder = "";

export const form = { task: "", model: null, touched: {} };

// The name of what is kept in this browser: servers of several folders may have one address after another.
const keyOf = (name) => `visrun.${name}:${folder}`;

// What is kept by a name; null where nothing is, or there is no storage.
export function kept(name, storage = sessionStorage) {
  try {
    return JSON.parse(storage.getItem(keyOf(name)));
  } catch {
    return null;
  }
}

export function keep(name, value, storage = sessionStorage) {
  try {
    storage.setItem(keyOf(name), JSON.stringify(value));
  } catch {
    /* no storage */
  }
}

export function restore({ task, cwd }) {
  folder = cwd;
  const isForm = (one) => typeof one?.task === "string" && one.touched && typeof one.touched === "object";
  const saved = [sessionStorage, localStorage].map((storage) => kept(NAME, storage)).find(isForm);
  Object.assign(form, { task, model: null, touched: {} }, saved);
}

const save = () => [sessionStorage, localStorage].forEach((storage) => keep(NAME, form, storage));

export const copy = () => JSON.parse(JSON.stringify(form));
export const listen = (listener) => listeners.push(listener);

// `told`: what changed with it is worth a message; `before`: what an undo goes back to.
function changed(told, before) {
  save();
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
  save();
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
