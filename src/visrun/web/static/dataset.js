// The dataset's panel: where it lies, its layout, and what a look into it found.

import { post } from "./api.js";
import { button, find, h, number } from "./dom.js";
import { add, settingOf, view, watch } from "./form.js";
import { bars, lineList } from "./parts.js";
import { copy, form, reset, touch } from "./store.js";

const DECODES = "Takes longer; finds files that are cut short, and images of two splits that look alike";
const PAUSE = 700; // ms without a key before the dataset is looked at
let looked = "",
  isDemo = true,
  timer = 0,
  turn = 0,
  offer = null; // of a value that the dataset needs
export let wrong = []; // what keeps a run from starting

export function build(catalog) {
  const root = add(settingOf("data.root"), { title: "Folder or table" });
  const layout = add(settingOf("data"), { title: "Layout" });
  root.input.placeholder = "the built-in demo";
  root.input.addEventListener(
    "input",
    (event) => {
      if (root.input.value.trim() === "") {
        event.stopImmediatePropagation();
        reset("data.root", ...(form.touched.data === "demo" ? [] : ["data"]));
      }
    },
    true,
  );
  const look = button("Look at it", () => survey(true), { id: "look" });
  find("data").append(root.row, layout.row, look);
  root.row.querySelector(".help").textContent = `Below ${catalog.roots.join(" or ")}. Empty: the built-in demo.`;
  watch((view) => {
    offer?.show(view);
    const key = JSON.stringify(view.surveyed);
    root.input.placeholder = view.fields.data.text === "demo" ? "the built-in demo" : "/path/to/images";
    if (key === looked) return;
    looked = key;
    isDemo = view.fields.data.text === "demo";
    wrong = [];
    find("survey").replaceChildren();
    clearTimeout(timer);
    turn += 1;
    if (form.touched["data.root"] && !view.errors["data.root"]) timer = setTimeout(() => survey(false), PAUSE);
  });
}

async function survey(again, pixels = false) {
  const mine = ++turn,
    place = find("survey"),
    content = { ...copy(), pixels };
  if (!form.touched["data.root"] && !isDemo) return;
  place.setAttribute("aria-busy", "true"); // what is found is told, not every file on the way
  try {
    let told = await post("/api/dataset", { ...content, again });
    while (told.state === "looking" && mine === turn) {
      place.replaceChildren(waiting(told));
      await new Promise((go) => setTimeout(go, 250));
      told = await post("/api/dataset", { ...content, again: false });
    }
    if (mine !== turn) return;
    wrong = told.state === "failed" ? told.lines : []; // a look that crashed says nothing of the dataset
    place.replaceChildren(...(told.state === "done" ? found(told, pixels) : [lineList("bad", told.lines)]));
  } catch (error) {
    if (mine !== turn) return;
    wrong = error.lines ?? [];
    place.replaceChildren(lineList("bad", wrong));
  } finally {
    if (mine === turn) place.setAttribute("aria-busy", "false");
  }
}

// What is found anew: what was wrong may have been mended since.
export const again = () => survey(true);

function waiting({ done, total }) {
  const bar = h("progress", { max: total || 1, "aria-label": "Files looked at" });
  if (total) bar.value = done;
  return h("p", { className: "quiet" }, bar, total ? ` ${done} of ${total} files` : " Reading …");
}

// What the dataset needs, and a button that sets it until the form has it; none where the run does not read it.
function offered({ text, key, value }) {
  const set = () => {
    touch(key, value, true);
    find(`field-${key}`).focus({ preventScroll: true });
  };
  const made = button(`Set ${key}=${value}`, set, { className: "plain" });
  const line = h("p", {}, `${text} `, made);
  const show = ({ fields: { [key]: field } }) => {
    made.hidden = !field.shown || "why" in field || field.text === value;
    line.className = made.hidden ? "quiet" : "warning";
  };
  show(view);
  return { line, show };
}

function counted(count, noun, several = `${noun}s`) {
  return `${count.toLocaleString()} ${count === 1 ? noun : several}`;
}

function found(told, pixels) {
  const { low, high } = told.sizes;
  const size =
    low.join() === high.join() ? `${low[0]} × ${low[1]} px` : `${low[0]} × ${low[1]} to ${high[0]} × ${high[1]} px`;
  const total = told.splits.reduce((sum, split) => sum + split.images, 0);
  const head = h(
    "p",
    {},
    h("strong", {}, counted(total, "image")),
    `, ${told.classes ? `${counted(told.classes, "class", "classes")}, ` : ""}layout ${told.layout}, ${size}`,
  );
  offer = told.needs && offered(told.needs);
  const splits = h(
    "p",
    { className: "quiet" },
    told.splits.map((split) => `${split.name} ${split.images.toLocaleString()}`).join(" · "),
  );
  const broken = told.problems.length
    ? [
        h(
          "p",
          { className: "error" },
          told.ready
            ? `${counted(told.problems.length, "problem")}, left out.`
            : `${counted(told.problems.length, "problem")}. A run stops there, unless data.on_bad is skip.`,
        ),
      ]
    : [];
  return [
    head,
    splits,
    offer?.line ?? "",
    ...broken,
    lineList("bad", told.problems),
    lineList("warn", told.warnings),
    histogram(told.histogram),
    pixels ? "" : button("Decode all images, too", () => survey(true, true), { id: "decode", title: DECODES }),
    pictures(told.thumbnails),
  ];
}

// One bar a class or bin, as long as all splits together; numbers at its end.
function histogram({ what, names, splits, more }) {
  if (!names.length) return "";
  const sums = names.map((_, i) => Object.values(splits).reduce((sum, counts) => sum + (counts[i] ?? 0), 0));
  const most = Math.max(...sums, 1),
    whole = sums.reduce((a, b) => a + b, 0) || 1;
  const rows = names.map((name, i) => ({
    name,
    share: sums[i] / most,
    text: what === "pixels" ? `${number((100 * sums[i]) / whole, 3)} %` : sums[i].toLocaleString(),
    hint: Object.entries(splits)
      .map(([split, counts]) => `${split} ${(counts[i] ?? 0).toLocaleString()}`)
      .join(", "),
  }));
  const caption =
    { images: "Images of each class", pixels: "Pixels of each class", objects: "Objects of each class" }[what] ??
    `Values of ${what}`;
  const rest = more ? h("p", { className: "quiet" }, `and ${more} more classes`) : null;
  const box = { className: "histogram", tabIndex: 0, role: "group", "aria-label": caption };
  return h("div", box, bars(caption, rows), rest);
}

function pictures(thumbnails) {
  return h(
    "div",
    { className: "thumbs" },
    thumbnails.map(({ src, label, name }) =>
      h(
        "figure",
        { title: `${name}: ${label}` },
        h("img", { src, alt: `${name}: ${label}`, loading: "lazy" }),
        h("figcaption", {}, label),
      ),
    ),
  );
}
