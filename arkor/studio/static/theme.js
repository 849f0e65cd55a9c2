"use strict";
// Before the first paint, hence no module: the theme that was chosen, else that of the system.
(() => {
  const chosen = localStorage.getItem("arkor-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
