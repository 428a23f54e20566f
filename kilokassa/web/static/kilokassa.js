// What the pages do in a browser; without it every page still works.
(() => {
  "use strict";
  const language = document.documentElement.lang || "en";
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const fine = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const collator = new Intl.Collator(language, { numeric: true });
  const token = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Tables: sort by a heading, filter by a word. Cells carry exact values in data-v.
  function sortBy(table, place, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = heading.classList.contains("num");
    const body = table.tBodies[0];
    const key = (row) => row.cells[place].dataset.v ?? row.cells[place].textContent.trim();
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (numeric ? Number(a) - Number(b) : collator.compare(a, b)));
    if (down) rows.reverse();
    body.append(...rows.map(([, row]) => row));
  }

  function filterBy(table, text) {
    const words = text.toLocaleLowerCase(language).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const content = row.textContent.toLocaleLowerCase(language);
      row.hidden = !words.every((word) => content.includes(word));
      if (!row.hidden) shown += 1;
    }
    const count = document.querySelector(`[data-count-of="${table.id}"]`);
    if (count) count.textContent = number.format(shown);
  }

  // Charts: drawn from the JSON beside them; they follow their box and the theme.
  const charts = new Map();
  function drawChart(figure) {
    const box = figure.querySelector(".kk-chart-box");
    const source = figure.querySelector('script[type="application/json"]');
    if (!box || !source || !window.echarts) return;
    const data = JSON.parse(source.textContent);
    let chart = charts.get(box);
    if (!chart) {
      chart = window.echarts.init(box, null, { renderer: "svg" });
      charts.set(box, chart);
      new ResizeObserver(() => chart.resize()).observe(box);
    }
    const largest = Math.max(0, ...data.series.flatMap((one) => one.values.map(Math.abs)));
    const kwh = (wh) => (largest < 2000 ? fine : number).format(wh / 1000);
    const quiet = token("--tblr-secondary");
    const line = token("--kk-line");
    chart.setOption({
      aria: { enabled: true, description: data.title },
      animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      animationDuration: 300,
      textStyle: { fontFamily: token("--tblr-font-sans-serif") },
      grid: { left: 8, right: 8, top: 28, bottom: 4, containLabel: true },
      tooltip: {
        trigger: "axis",
        axisPointer: { type: "shadow" },
        backgroundColor: token("--kk-surface"),
        borderColor: line,
        textStyle: { color: token("--tblr-body-color") },
        valueFormatter: (wh) => `${kwh(wh)} ${data.unit}`,
        order: "seriesDesc",
      },
      xAxis: {
        type: "category", data: data.categories,
        axisLine: { lineStyle: { color: line } }, axisTick: { show: false },
        axisLabel: { color: quiet, hideOverlap: true },
      },
      yAxis: {
        type: "value", name: data.unit, nameTextStyle: { color: quiet, align: "left" },
        minInterval: 1, splitNumber: 4,
        axisLabel: { color: quiet, formatter: kwh },
        splitLine: { lineStyle: { color: line } },
      },
      series: data.series.map((one) => (one.line ? {
        type: "line", name: one.name, data: one.values, symbol: "none", z: 3,
        lineStyle: { color: token(`--kk-zone-${one.zone}`), width: 2 },
        itemStyle: { color: token(`--kk-zone-${one.zone}`) },
        emphasis: { disabled: true },
      } : {
        type: "bar", stack: "energy", name: one.name, data: one.values, barMaxWidth: 36,
        itemStyle: { color: token(`--kk-zone-${one.zone}`) },
        emphasis: { focus: "none" },
      })),
    }, true);
  }
  function drawCharts() {
    for (const figure of document.querySelectorAll("[data-chart]")) drawChart(figure);
  }

  // One listener for the whole page: what htmx brings in later works as well.
  document.addEventListener("click", (event) => {
    const sort = event.target.closest("button[data-sort]");
    if (sort) {
      const heading = sort.closest("th");
      sortBy(sort.closest("table"), heading.cellIndex, heading);
      return;
    }
    const preset = event.target.closest("[data-fill]");
    if (preset) {
      const field = document.getElementById(preset.dataset.fills);
      if (field) { field.value = preset.dataset.fill; field.focus(); }
      return;
    }
    if (event.target.closest("[data-print]")) window.print();
    for (const menu of document.querySelectorAll("details.kk-menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("input", (event) => {
    const table = document.getElementById(event.target.dataset?.filters ?? "");
    if (table) filterBy(table, event.target.value);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.kk-menu[open]")) menu.open = false;
  });
  // A form is sent once: a second press while the first is under way does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
  // The event is sent from what asked, which need not be where the answer was put.
  document.addEventListener("htmx:after:swap", () => drawCharts());
  document.documentElement.addEventListener("kk:theme", () => drawCharts());
  addEventListener("DOMContentLoaded", () => drawCharts());
  // On a phone the rows of sections are wider than the screen: where one stands is in sight.
  addEventListener("DOMContentLoaded", () => {
    for (const link of document.querySelectorAll(".kk-nav [aria-current], .kk-section [aria-current]")) {
      const row = link.parentElement;
      row.scrollLeft = link.offsetLeft - row.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
    }
  });
})();
