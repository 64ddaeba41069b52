"use strict";
(() => {
  const names = [...document.querySelectorAll("[data-toggle]")].map((button) => button.textContent);
  const hidden = new Set();
  const charts = [...document.querySelectorAll(".chart")].map(make);

  // A chart with the epochs at which any run has a value, its drawing and its tip.
  function make(figure) {
    const told = JSON.parse(figure.dataset.chart);
    const found = new Set(told.lines.flat().map((point) => point[0]));
    const chart = {
      ...told, figure,
      found: [...found].sort((a, b) => a - b),
      drawing: figure.querySelector("svg"),
      cursor: figure.querySelector(".cursor"),
      tip: figure.querySelector(".tip"),
      at: -1,
    };
    const { drawing } = chart;
    drawing.setAttribute("tabindex", "0");
    drawing.setAttribute("role", "slider");
    drawing.setAttribute("aria-valuemin", chart.found[0]);
    drawing.setAttribute("aria-valuemax", chart.found.at(-1));
    describe(chart, chart.found.length - 1);
    drawing.addEventListener("pointermove", (event) => show(chart, nearest(chart, event)));
    drawing.addEventListener("pointerdown", (event) => show(chart, nearest(chart, event)));
    drawing.addEventListener("pointerleave", hide);
    drawing.addEventListener("focus", () => {
      if (drawing.matches(":focus-visible")) show(chart, chart.found.length - 1);
    });
    drawing.addEventListener("blur", hide);
    drawing.addEventListener("keydown", (event) => press(chart, event));
    return chart;
  }

  function position(chart, epoch) {
    const [low, high] = chart.epochs, { left, right } = chart.box;
    return left + ((epoch - low) / (high - low)) * (right - left);
  }

  function nearest(chart, event) {
    const place = chart.drawing.getBoundingClientRect();
    const x = ((event.clientX - place.left) / place.width) * chart.box.width;
    const far = chart.found.map((epoch) => Math.abs(position(chart, epoch) - x));
    return far.indexOf(Math.min(...far));
  }

  // The values of the runs that are shown at one epoch, from the top of the chart down.
  function values(chart, epoch) {
    const rows = chart.lines.map((line, run) => ({ run, point: line.find((point) => point[0] === epoch) }));
    return rows.filter(({ run, point }) => point && !hidden.has(run)).sort((a, b) => a.point[2] - b.point[2]);
  }

  function describe(chart, index) {
    const epoch = chart.found[index], told = values(chart, epoch).map(({ run, point }) => `${names[run]} ${point[1]}`);
    chart.drawing.setAttribute("aria-valuenow", epoch);
    chart.drawing.setAttribute("aria-valuetext", `epoch ${epoch}: ${told.join(", ") || "no run shown"}`);
  }

  function show(chart, index) {
    const epoch = chart.found[index];
    chart.at = index;
    describe(chart, index);
    for (const other of charts) {
      const inside = epoch >= other.epochs[0] && epoch <= other.epochs[1];
      other.cursor.style.visibility = inside ? "visible" : "hidden";
      other.cursor.setAttribute("x1", position(other, epoch));
      other.cursor.setAttribute("x2", position(other, epoch));
      other.tip.hidden = other !== chart;
    }
    const head = document.createElement("b");
    head.textContent = `epoch ${epoch}`;
    chart.tip.replaceChildren(head, ...values(chart, epoch).map(line));
    place(chart, position(chart, epoch));
  }

  function line({ run, point }) {
    const row = document.createElement("div"), name = document.createElement("span");
    const swatch = document.createElement("span"), value = document.createElement("span");
    row.className = `run-${run}`;
    swatch.className = "swatch";
    name.append(swatch, names[run]);
    value.textContent = point[1];
    row.append(name, value);
    return row;
  }

  // Beside the cursor, on the side with more room.
  function place(chart, x) {
    const drawing = chart.drawing, scale = drawing.clientWidth / chart.box.width;
    const left = drawing.getBoundingClientRect().left - chart.figure.getBoundingClientRect().left + x * scale;
    const onRight = x < chart.box.width / 2;
    chart.tip.style.left = onRight ? `${left + 12}px` : "auto";
    chart.tip.style.right = onRight ? "auto" : `${chart.figure.clientWidth - left + 12}px`;
    chart.tip.style.top = "44px";
  }

  function hide() {
    for (const chart of charts) {
      chart.cursor.style.visibility = "hidden";
      chart.tip.hidden = true;
      chart.at = -1;
    }
  }

  function press(chart, event) {
    const last = chart.found.length - 1, now = chart.at < 0 ? last : chart.at;
    const to = {
      ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1,
      PageDown: now - 10, PageUp: now + 10, Home: 0, End: last,
    }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(chart, Math.max(0, Math.min(last, to)));
  }

  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.addEventListener("click", () => {
      const run = Number(button.dataset.toggle), off = !hidden.has(run);
      hidden[off ? "add" : "delete"](run);
      button.setAttribute("aria-pressed", String(!off));
      for (const item of document.querySelectorAll(`[data-run="${run}"]`)) item.classList.toggle("off", off);
      for (const chart of charts) describe(chart, chart.found.length - 1);
    });
  }
})();
