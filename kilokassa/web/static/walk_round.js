// A walk-round is entered from the keyboard alone: each meter is judged at once and saved at once.
// Without this every meter still has a button to save it.
(() => {
  "use strict";
  const root = document.querySelector("[data-walk]");
  if (!root) return;
  const words = JSON.parse(root.dataset.words);
  const bar = root.querySelector("[data-progress-bar]");
  const progress = root.querySelector("[data-progress]");

  const lineOf = (element) => element.closest("[data-line]");
  const formOf = (line) => line.querySelector(".kk-line-form");
  const fieldsOf = (line) => [...line.querySelectorAll("[data-field]")];
  const noteOf = (line) => line.querySelector("[data-note]");
  const visible = () =>
    [...root.querySelectorAll("[data-field]:not(:disabled)")].filter((one) => one.offsetParent);
  const typed = (line) => fieldsOf(line).map((field) => field.value.trim()).join("|");
  const saved = (line) => fieldsOf(line).map((field) => field.dataset.saved).join("|");
  const isDirty = (line) => typed(line) !== saved(line);
  const isFilled = (line) => fieldsOf(line).some((field) => field.value.trim());

  function tell(line, state, text) {
    line.dataset.state = state;
    line.querySelector("[role=status]").textContent = text;
    for (const field of fieldsOf(line)) {
      if (state === "refused") field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  }

  // What the field holds in the unit at rest, exactly; null where it is no number.
  function valueOf(field) {
    const found = /^(\d{1,12})(?:[.,](\d{0,6}))?$/.exec(field.value.replace(/\s/g, ""));
    if (!found) return null;
    const scale = Number(field.dataset.scale);
    const fraction = (found[2] ?? "").replace(/0+$/, "");
    if (fraction.length > scale) return null;
    return BigInt(found[1] + fraction.padEnd(scale, "0"));
  }

  // The server judges; this only decides whether to wait for it before the next field.
  function doubt(field) {
    if (!field.value.trim()) return "";
    const value = valueOf(field);
    if (value === null) return words.odd;
    if (value >= BigInt(field.dataset.top)) return words.digits;
    if (field.dataset.previous && value < BigInt(field.dataset.previous)) return words.less;
    if (field.dataset.most && value > BigInt(field.dataset.most)) return words.more;
    return "";
  }

  async function send(line, extra) {
    const form = formOf(line);
    const body = new FormData(form);
    for (const [name, value] of Object.entries(extra)) body.set(name, value);
    const sent = typed(line);
    line.dataset.saving = "1";
    let answer = null;
    try {
      const response = await fetch(form.action, {
        method: "POST", body, headers: { Accept: "application/json" },
      });
      if (response.ok) answer = await response.json();
    } catch { /* no connection: said below */ }
    delete line.dataset.saving;
    if (!answer) {
      line.dataset.unsaved = "1";
      tell(line, "refused", words.unsaved);
      return false;
    }
    delete line.dataset.unsaved;
    if (answer.stored) {
      delete line.dataset.confirming;
      const same = typed(line) === sent;
      for (const field of fieldsOf(line)) {
        field.dataset.saved = answer.values[field.name] ?? "";
        if (same) field.value = field.dataset.saved;
      }
      // What was typed while the answer was under way is saved as well, once the line is left.
      if (!same && !line.contains(document.activeElement)) save(line);
    } else if (answer.state === "warn") {
      line.dataset.confirming = sent;
    }
    tell(line, answer.state, answer.text);
    // Answers to lines sent one after another may overtake each other; no line is ever undone.
    bar.value = Math.max(bar.value, answer.done);
    progress.textContent = progress.textContent.replace(/\d+/, String(bar.value));
    return answer.stored;
  }

  function save(line) {
    const confirmed = line.dataset.confirming === typed(line);
    delete line.dataset.confirming;
    return send(line, confirmed ? { confirmed: "1" } : {});
  }

  function move(from, step) {
    const fields = visible();
    const next = fields[fields.indexOf(from) + step];
    if (!next) return;
    next.focus();
    next.select();
    lineOf(next).scrollIntoView({ block: "nearest" });
  }

  async function enter(field) {
    const line = lineOf(field);
    const fields = fieldsOf(line);
    const last = field === fields.at(-1);
    const wrong = doubt(field);
    const confirms = line.dataset.confirming === typed(line);
    if (!last && !wrong && !confirms) {
      move(field, 1);
      return;
    }
    if (!isFilled(line) || (!isDirty(line) && !line.dataset.unsaved)) {
      move(field, 1);
      return;
    }
    // What looks right, or is confirmed, moves on at once and is saved meanwhile: nobody who types
    // fast writes into the wrong field. What does not look right waits for the verdict.
    if (confirms || fields.every((one) => one.value.trim() && !doubt(one))) {
      save(line);
      move(field, 1);
      return;
    }
    if (await save(line)) move(field, 1);
    else { field.focus(); field.select(); }
  }

  function outcome(field, value) {
    const line = lineOf(field);
    for (const one of fieldsOf(line)) one.value = one.dataset.saved;
    delete line.dataset.confirming;
    send(line, { outcome: value });
    move(fieldsOf(line).at(-1), 1);
  }

  root.addEventListener("keydown", (event) => {
    const note = event.target.closest("[data-note]");
    if (note && event.key === "Enter") {
      event.preventDefault();
      const line = lineOf(note);
      const state = line.dataset.state;
      if (state === "away") send(line, { outcome: line.dataset.outcome || "no_access" });
      else if (isFilled(line)) save(line);
      return;
    }
    const field = event.target.closest("[data-field]");
    if (!field || event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
    const line = lineOf(field);
    switch (event.key) {
      case "Enter":
        event.preventDefault();
        if (!event.repeat) enter(field);
        break;
      case "ArrowDown":
        event.preventDefault();
        move(field, 1);
        break;
      case "ArrowUp":
        event.preventDefault();
        move(field, -1);
        break;
      case "Escape":
        for (const one of fieldsOf(line)) one.value = one.dataset.saved;
        delete line.dataset.confirming;
        delete line.dataset.unsaved;
        tell(line, line.dataset.before ?? "", line.dataset.beforeText ?? "");
        field.select();
        break;
      case "-":
      case "*":
        event.preventDefault();
        outcome(field, event.key === "-" ? "no_access" : "broken");
        break;
    }
  });

  // A line that is left with something new in it is saved, whichever way it was left.
  root.addEventListener("focusin", (event) => {
    const line = lineOf(event.target);
    if (!line || line.contains(event.relatedTarget)) return;
    line.dataset.before = line.dataset.state;
    line.dataset.beforeText = line.querySelector("[role=status]").textContent;
  });
  root.addEventListener("focusout", (event) => {
    const line = lineOf(event.target);
    if (!line || line.contains(event.relatedTarget)) return;
    if (line.dataset.confirming === typed(line) || line.dataset.saving) return;
    if (isDirty(line) && isFilled(line)) save(line);
  });
  root.addEventListener("submit", (event) => {
    const line = lineOf(event.target);
    if (!line || event.target.matches("[data-photo]")) return;
    event.preventDefault();
    const button = event.submitter;
    if (button?.matches("[data-outcome]")) {
      line.dataset.outcome = button.value;
      outcome(fieldsOf(line)[0], button.value);
    } else if (isFilled(line)) save(line);
  });
  root.addEventListener("change", async (event) => {
    const picker = event.target.closest(".kk-photo-input");
    if (!picker?.files.length) return;
    const line = lineOf(picker);
    const form = picker.form;
    const state = line.querySelector("[role=status]");
    const before = state.textContent;
    state.textContent = words.saving;
    const response = await fetch(form.action, {
      method: "POST", body: new FormData(form), headers: { Accept: "application/json" },
    }).catch(() => null);
    const answer = response?.ok ? await response.json() : { url: "", text: words.unsaved };
    state.textContent = answer.text || before;
    picker.value = "";
    if (!answer.url) return;
    const link = line.querySelector("[data-thumb]");
    link.href = answer.url;
    link.querySelector("img").src = `${answer.url}?size=small`;
    link.hidden = false;
  });
  addEventListener("beforeunload", (event) => {
    const lines = [...root.querySelectorAll("[data-line]")];
    if (lines.some((line) => isDirty(line) && isFilled(line))) event.preventDefault();
  });

  // Where the list was left, it is gone on with.
  const first = visible().find((field) => !field.value);
  // A telephone would open its keyboard over the page: there the finger chooses.
  if (first && !location.hash && !matchMedia("(pointer: coarse)").matches) first.focus();
})();
