// Loaded before the page is drawn, so that a chosen theme does not flash. Without a choice the system's counts.
(() => {
  const KEY = "mediagen-theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be switched off
    }
  }

  function show() {
    const chosen = stored();
    root.dataset.theme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
    dispatchEvent(new CustomEvent("themechange"));
  }

  addEventListener("toggletheme", () => {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    try {
      // Back to what the system says: then the page follows it again.
      if ((next === "dark") === dark.matches) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      root.dataset.theme = next;
      return;
    }
    show();
  });
  dark.addEventListener("change", show);
  show();
})();
