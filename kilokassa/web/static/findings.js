// The queue of findings from the keyboard; without it every finding is a link and a form.
(() => {
  "use strict";
  const rows = () => [...document.querySelectorAll("[data-rows] > li")];
  const current = () => document.querySelector("[data-rows] > li[aria-current]");

  function choose(row) {
    for (const other of rows()) other.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    show(row);
  }

  // Only the list scrolls: the page stays where it is.
  function show(row) {
    const list = row.parentElement;
    const place = row.offsetTop - list.offsetTop;
    if (place < list.scrollTop) list.scrollTop = place;
    else if (place + row.offsetHeight > list.scrollTop + list.clientHeight)
      list.scrollTop = place + row.offsetHeight - list.clientHeight;
  }

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
    if (next && next !== current()) next.querySelector("[data-row]").click();
  }

  function count() {
    const chosen = document.querySelectorAll("[data-rows] input:checked").length;
    for (const place of document.querySelectorAll("[data-checked-count]"))
      place.textContent = chosen ? `(${chosen})` : "";
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-row]");
    if (link) choose(link.closest("li"));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-check-all]"))
      for (const box of document.querySelectorAll("[data-rows] input[type=checkbox]"))
        box.checked = event.target.checked;
    if (event.target.closest("[data-rows], [data-check-all]")) count();
    const form = event.target.closest("form[data-submits]");
    if (form && event.target.matches("select")) form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "x") {
      const box = current()?.querySelector("input[type=checkbox]");
      if (box) { box.checked = !box.checked; count(); }
    } else if (event.key === "a") {
      const note = document.querySelector("[data-accept] [name=note]");
      if (!note) return;
      note.focus();
    } else if (event.key === "e") document.querySelector("[data-key=e]")?.click();
    else return;
    event.preventDefault();
  });
  // On a narrow screen what speaks for a finding stands below the list: bring it into view.
  document.addEventListener("htmx:after:swap", () => {
    const detail = document.getElementById("finding");
    if (detail && matchMedia("(max-width: 991px)").matches) detail.scrollIntoView();
    else if (detail) detail.scrollTop = 0;
  });
  addEventListener("DOMContentLoaded", () => { const row = current(); if (row) show(row); });
})();
