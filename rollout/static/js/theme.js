/* Colour theme: automatic, light or dark. Loaded in the head, unblocked by modules, so that no page flashes. */
(() => {
  const KEY = "gr-theme";
  const ORDER = ["auto", "light", "dark"];
  const NAMES = { auto: "Theme: automatic", light: "Theme: light", dark: "Theme: dark" };

  const read = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return ORDER.includes(kept) ? kept : "auto";
    } catch {
      return "auto";
    }
  };

  const apply = (choice) => {
    const root = document.documentElement;
    if (choice === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", choice);
    document.querySelectorAll("[data-theme-name]").forEach((name) => { name.textContent = NAMES[choice]; });
    document.dispatchEvent(new CustomEvent("gr:theme"));
  };

  apply(read());
  document.addEventListener("DOMContentLoaded", () => apply(read()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-switch]")) return;
    const next = ORDER[(ORDER.indexOf(read()) + 1) % ORDER.length];
    try { localStorage.setItem(KEY, next); } catch { /* private window: the choice lasts for this page */ }
    apply(next);
  });
  window.addEventListener("storage", (event) => { if (event.key === KEY) apply(read()); });
})();
