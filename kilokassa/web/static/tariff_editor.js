// Line numbers beside the text of a tariff, the one with a fault marked; the page works without.
(() => {
  const box = document.querySelector("[data-editor]");
  if (!box) return;
  const text = box.querySelector("textarea");
  const gutter = box.querySelector(".kk-tariff-gutter");
  const draw = () => {
    const faults = (document.getElementById("checked")?.dataset.faultLines || "").split(" ");
    const count = text.value.split("\n").length;
    gutter.replaceChildren(
      ...Array.from({ length: count }, (_, place) => {
        const number = place + 1;
        if (!faults.includes(String(number))) return document.createTextNode(`${number}\n`);
        const mark = document.createElement("b");
        mark.textContent = String(number);
        const line = document.createDocumentFragment();
        line.append(mark, "\n");
        return line;
      }),
    );
    gutter.scrollTop = text.scrollTop;
  };
  // A fault leads to its line, which is chosen whole.
  document.addEventListener("click", (event) => {
    const fault = event.target.closest?.("a[data-line]");
    if (!fault) return;
    event.preventDefault();
    const lines = text.value.split("\n");
    const at = Number(fault.dataset.line) - 1;
    const start = lines.slice(0, at).reduce((sum, line) => sum + line.length + 1, 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[at] ?? "").length);
  });
  text.addEventListener("input", draw);
  text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
  document.body.addEventListener("htmx:afterSwap", draw);
  document.body.addEventListener("htmx:after:swap", draw);
  draw();
})();
