// What the pages of a run and of a sweep have in common.

import { code, h, isNew } from "./dom.js";

const WIDE = 1100; // pixels from which on a picture's labels cannot be read in one column

export const heads = (titles) =>
  h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)))); // prettier-ignore

// Lines that are all of a kind, "bad" or "warn"; "" where there are none.
export const lineList = (kind, lines) =>
  lines.length ? h("ul", { className: `lines ${kind}` }, lines.map((line) => h("li", {}, line))) : ""; // prettier-ignore

// The pictures drawn so far, each opened in full by a click.
export function showPictures(place, id, pictures) {
  if (!isNew(place, pictures)) return;
  place.replaceChildren(
    ...pictures.map(({ name, stamp }) => {
      const title = name.replace(".png", "").replaceAll("_", " ");
      const address = `/api/runs/${id}/plots/${name}?${stamp}`;
      const picture = h("img", { src: address, alt: title, loading: "lazy" });
      const link = h("a", { href: address, target: "_blank", rel: "noopener" }, picture);
      const card = h("figure", { className: "card" }, h("figcaption", {}, title), link);
      picture.addEventListener("load", () => card.classList.toggle("wide", picture.naturalWidth > WIDE));
      return card;
    }),
  );
}

// Why it ended; where it did so badly also its exit code and the last lines of its log. `early` goes before what is no
// failure.
export function showEnd(place, { ended_badly: badly, reason, exit_code: code, last_lines: lines }, early = "") {
  if (!isNew(place, badly, reason, code, lines)) return;
  if (!badly) {
    place.replaceChildren(reason ? h("p", { className: "quiet" }, `${early}${reason}`) : "");
    return;
  }
  const why = reason || "The run ended without a word.";
  const said = h("p", { className: "error" }, h("strong", {}, why), code === null ? "" : ` (exit code ${code})`);
  const log = h("pre", { className: "log", tabIndex: 0, "aria-label": "The last lines of its log" }, lines.join("\n"));
  place.replaceChildren(said, lines.length ? log : "");
  log.scrollTop = log.scrollHeight; // the error stands at the end
}

// Every setting, what it came to, and who said so.
export function showConfig(place, facts) {
  if (!isNew(place, facts.settings, facts.command)) return;
  const lines = Object.entries(facts.settings).map(([key, value]) =>
    h(
      "tr",
      { className: facts.sources[key] === "you" ? "mine" : "" },
      h("th", { scope: "row" }, code(key)),
      h("td", {}, value),
      h("td", { className: "quiet" }, facts.sources[key] ?? ""),
    ),
  );
  place.replaceChildren(
    place.firstChild,
    facts.command ? h("pre", { className: "command", tabIndex: 0 }, facts.command) : "",
    h("p", { className: "quiet" }, facts.folder),
    h(
      "div",
      { className: "scroll" },
      h(
        "table",
        {},
        heads(["setting", "value", "from"]),
        h("tbody", {}, lines),
      ),
    ),
  );
}

// Names with bars and, at their ends, texts: `rows` of {name, share, text, hint}.
export function bars(caption, rows) {
  const lines = rows.map(({ name, share, text, hint }) => {
    const bar = h("span", { className: "bar-full" });
    bar.style.width = `${100 * share}%`;
    return h(
      "tr",
      { title: hint ?? "" },
      h("th", { scope: "row" }, name),
      h("td", { className: "bar-cell" }, bar),
      h("td", { className: "count-cell" }, text),
    );
  });
  return h("table", {}, h("caption", {}, caption), h("tbody", {}, lines));
}
