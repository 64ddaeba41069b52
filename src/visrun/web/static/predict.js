// A run tried on images: what is asked, how far `visrun predict` is, and what it has drawn.

import { get, post } from "./api.js";
import { button, h, isNew, say, textField } from "./dom.js";
import { offered } from "./offers.js";
import { lineList } from "./parts.js";

const PAUSE = 700; // ms between two looks while it predicts

// The panel of a run that has a best checkpoint; it opens by itself where there is something to see.
export function tryPanel(place, id, { can_try: can, threshold: decides }) {
  if (!isNew(place, can, id)) return;
  place.hidden = !can;
  if (!can) return;
  const address = `/api/runs/${id}/predictions`;
  const path = textField({ id: "try-path", placeholder: "/path/to/images", required: true });
  const threshold = textField({ id: "try-threshold", placeholder: "the run's own" });
  const go = h("button", { type: "submit" }, "Predict");
  const stop = button("Stop", () => act(`${address}/stop`), { hidden: true });
  const said = h("p", { className: "said" });
  const heard = h("span", { className: "unseen", role: "status" }); // not every image
  const command = h("pre", { className: "command", tabIndex: 0 });
  const problems = h("div", { role: "alert" });
  const gallery = h("div", { className: "pictures" });
  const form = h(
    "form",
    { className: "try", onsubmit: submit },
    h(
      "div",
      {},
      h("label", { htmlFor: path.id }, "Image or folder"),
      h("div", { className: "control" }, path, offered(path, "images")),
    ),
    decides ? h("div", {}, h("label", { htmlFor: threshold.id }, "Threshold"), threshold) : null,
    go,
    stop,
    decides ? h("p", { className: "quiet" }, `Threshold: ${decides}.`) : null,
  );
  place.replaceChildren(h("summary", {}, "Try on images"), form, said, heard, problems, command, gallery);
  let running = false,
    timer = 0;
  look();

  const wrong = (lines) => problems.replaceChildren(lineList("bad", lines));

  function submit(event) {
    event.preventDefault();
    if (running) return; // what is typed meanwhile stops nothing
    running = true;
    gallery.replaceChildren(); // its pictures are those of the last try
    act(address, { path: path.value, threshold: decides ? threshold.value : "" });
  }

  async function act(where, content) {
    let refused = [];
    try {
      await post(where, content);
    } catch (error) {
      running = false;
      refused = error.lines;
    }
    await look();
    if (!refused.length) return;
    for (const former of [said, command]) say(former, ""); // which would stand as if they were of this try
    gallery.replaceChildren();
    wrong(refused);
  }

  async function look() {
    clearTimeout(timer);
    const told = await get(address).catch(() => null);
    if (!form.isConnected || told?.state === "none") return; // another run is shown, or nothing was tried
    if (told) show(told);
    if (running) timer = setTimeout(look, PAUSE);
  }

  function show(told) {
    running = told.state === "running";
    if (running) swap(go, stop);
    else swap(stop, go);
    place.open ||= !command.textContent;
    path.value ||= told.path;
    threshold.value ||= command.textContent ? "" : told.threshold;
    say(said, words(told));
    say(heard, running ? "Predicting" : words(told));
    say(command, told.command);
    wrong(told.errors);
    if (isNew(gallery, told.created)) gallery.replaceChildren();
    const there = gallery.children.length;
    gallery.append(...told.shown.slice(there).map((one, i) => figure(one, there + i)));
  }

  function figure({ name, said: words, stamp }, i) {
    const source = `${address}/${i}?${stamp}`;
    const picture = stamp === null ? "" : h("img", { src: source, alt: `${name}: ${words}`, loading: "lazy" });
    return h(
      "figure",
      { className: "card", title: name },
      h("figcaption", {}, name),
      words ? h("p", { className: "quiet" }, words) : "",
      stamp === null ? "" : h("a", { href: source, target: "_blank", rel: "noopener" }, picture),
    );
  }
}

// One button in place of another, with its focus.
function swap(from, to) {
  const had = document.activeElement === from;
  to.hidden = false;
  from.hidden = true;
  if (had) to.focus();
}

// Where it stands, how many there are, and where they lie.
function words({ state, count, shown, folder, exit_code: code }) {
  const many = `${count.toLocaleString()} ${count === 1 ? "image" : "images"}`;
  const first = count > shown.length ? `, the first ${shown.length} below` : "";
  const where = count ? `${first}; the drawings lie in ${folder}` : "";
  const how = {
    running: "Predicting",
    stopped: "Stopped by you",
    failed: count ? `Done but for what is named below (exit code ${code})` : `Failed (exit code ${code})`,
    done: "Done",
    ended: "Ended",
  };
  return count || state !== "running" ? `${how[state]}: ${many}${where}.` : "Starting …";
}
