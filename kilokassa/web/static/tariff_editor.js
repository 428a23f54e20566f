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
  text.addEventListener("input", draw);
  text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
  document.body.addEventListener("htmx:afterSwap", draw);
  document.body.addEventListener("htmx:after:swap", draw);
  draw();
})();
