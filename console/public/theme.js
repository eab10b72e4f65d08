// Runs before the first paint, so that a chosen theme never flashes. Nothing but the choice is kept.
(() => {
  try {
    const chosen = localStorage.getItem("mandate.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is off: the system's preference stands.
  }
})();
