// Runs before the page is drawn, so that nobody sees the wrong colours for a moment.
(() => {
  const root = document.documentElement;
  root.classList.remove("no-js");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = root.dataset.theme;
    root.dataset.bsTheme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
    root.dispatchEvent(new Event("kk:theme"));
  };
  dark.addEventListener("change", apply);
  apply();
})();
