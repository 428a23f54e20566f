// Readings are judged while they are typed. Without this, the server says the same on sending.
(() => {
  "use strict";
  const form = document.querySelector("form[data-check]");
  if (!form) return;
  let timer = 0;
  let asked = 0;

  function show(register, answer) {
    const verdict = answer?.verdict ?? "";
    register.dataset.verdict = verdict;
    const field = register.querySelector("input");
    field.classList.toggle("is-invalid", verdict === "refused");
    if (verdict === "refused") field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    const place = register.querySelector("[role=status]");
    const used = document.createElement("strong");
    used.textContent = answer?.used ?? "";
    place.replaceChildren(used, ` ${answer?.text ?? ""}`);
  }

  async function check() {
    const number = ++asked;
    const answer = await fetch(form.dataset.check, {
      method: "POST", body: new FormData(form), headers: { Accept: "application/json" },
    }).catch(() => null);
    if (!answer?.ok || number !== asked) return;
    const { fields } = await answer.json();
    for (const register of form.querySelectorAll("[data-register]")) {
      const name = register.dataset.register;
      // A number that is still being typed is less than the one before: that is no mistake yet.
      const typing = register.contains(document.activeElement) && fields[name]?.verdict === "refused"
        && !register.dataset.left;
      show(register, typing ? null : fields[name]);
    }
  }

  form.addEventListener("input", (event) => {
    delete event.target.closest("[data-register]")?.dataset.left;
    clearTimeout(timer);
    timer = setTimeout(check, 500);
  });
  form.addEventListener("change", (event) => {
    const register = event.target.closest("[data-register]");
    if (!register) return;
    register.dataset.left = "1";
    clearTimeout(timer);
    timer = setTimeout(check, 0);
  });
})();
