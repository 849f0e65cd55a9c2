// What every page has: the theme's button.
const root = document.documentElement;
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  return (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
}

function label() {
  const other = isDark() ? "light" : "dark";
  button.setAttribute("aria-label", `Use the ${other} theme`);
  button.title = `Use the ${other} theme`;
  button.textContent = isDark() ? "☀" : "☾";
}

button.hidden = false;
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("arkor-theme", root.dataset.theme);
  label();
  // Charts take their colours from the page, and are told when these change.
  document.dispatchEvent(new Event("themechange"));
});
system.addEventListener("change", () => {
  label();
  document.dispatchEvent(new Event("themechange"));
});
label();
