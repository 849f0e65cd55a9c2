// The list of runs: kept up to date, filtered without a new page, two of it chosen.
import { toast } from "./http.js";
import { fetchPage, renew } from "./live.js";
import { keepTimes, tellTimes } from "./times.js";

const PERIOD = 5000;
const filters = document.getElementById("filters");
let asking = null;
let failed = false;
let timer;

async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  const mine = (asking = new AbortController());
  try {
    renew(await fetchPage(location.href, mine.signal), "list");
    failed = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    // Said once: the list stays as it was, and is asked for again.
    if (!failed) toast(error.message, "bad");
    failed = true;
  }
  show();
  timer = setTimeout(refresh, PERIOD);
}

function go(address) {
  history.replaceState(null, "", address);
  const hidden = filters.querySelector("input[name=status]");
  hidden?.remove();
  const status = new URL(location.href).searchParams.get("status");
  if (status) filters.prepend(Object.assign(document.createElement("input"), { type: "hidden", name: "status", value: status }));
  refresh();
}

function show() {
  tellTimes();
  const chosen = document.querySelectorAll("#list input:checked");
  const button = document.getElementById("compare");
  if (!button) return;
  button.disabled = chosen.length !== 2;
  document.getElementById("picked-said").textContent = [
    "Choose two runs to compare them.", "Choose one more run to compare.", "Two runs are chosen.",
  ][chosen.length] ?? `${chosen.length} runs are chosen; two can be compared.`;
}

let typed;
filters.addEventListener("input", (event) => {
  clearTimeout(typed);
  typed = setTimeout(() => filters.requestSubmit(), event.target.type === "search" ? 200 : 0);
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = new URLSearchParams([...new FormData(filters)].filter(([name, value]) => value && !(name === "sort" && value === "newest")));
  go(asked.size ? `/runs?${asked}` : "/runs");
});
document.addEventListener("click", (event) => {
  const link = event.target.closest(".chips a, .pages a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.href);
});
document.addEventListener("change", (event) => {
  if (event.target.closest("#list")) show();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
keepTimes();
show();
timer = setTimeout(refresh, PERIOD);
