// One run: its page follows the run as long as it goes on.
import { Chart } from "./chart.js";
import { ask, post, toast } from "./http.js";
import { fetchPage, renew } from "./live.js";
import { Log } from "./log.js";
import { statisticsTable } from "./statistics.js";
import { keepTimes, tellTimes } from "./times.js";

const { run, records } = document.getElementById("run").dataset;
const PARTS = [...document.querySelectorAll("[data-live]")].map((each) => each.id);
const chart = new Chart(document.getElementById("chart"));
const log = new Log(run);

// Not more often than this, however fast the records come.
const PERIOD = 1000;
let due = 0, timer = null, busy = false;

function soon() {
  timer ??= setTimeout(refresh, Math.max(due - Date.now(), 0));
}

async function refresh() {
  timer = null;
  if (busy) { due = Date.now() + PERIOD; soon(); return; }
  busy = true;
  try {
    const page = await fetchPage();
    // A menu that is open is not closed under the pointer.
    const open = document.querySelector("#top .menu[open]");
    PARTS.filter((id) => !(open && id === "top")).forEach((id) => renew(page, id));
    tellTimes();
    await Promise.all([chart.refresh(), log.refresh()]);
    if ("waits" in document.getElementById("course").dataset) soon();
  } catch (error) {
    lost(true);
  } finally {
    busy = false;
    due = Date.now() + PERIOD;
  }
}

function lost(is) {
  const note = document.getElementById("connection");
  note.hidden = !is;
  if (is) note.textContent = "Studio does not answer; this page goes on by itself as soon as it does.";
}

// Follows the run's records. A browser that was refused gives up, hence a new stream.
function follow(after) {
  let last = after;
  const stream = new EventSource(`/api/runs/${run}/events?after=${after}`);
  stream.addEventListener("open", () => {
    if (!document.getElementById("connection").hidden) { lost(false); soon(); }
  });
  stream.addEventListener("record", (event) => { last = event.lastEventId || last; soon(); });
  stream.addEventListener("end", () => { stream.close(); soon(); });
  stream.addEventListener("error", () => {
    lost(true);
    if (stream.readyState !== EventSource.CLOSED) return;
    setTimeout(() => follow(last), 2000);
  });
}

const ASKS = {
  cancel: "The backend was asked to stop the run.",
  detach: "The process that followed the run is leaving it; the run goes on.",
  resume: "A process of its own takes the run over.",
};

async function act(button) {
  const what = button.dataset.do;
  if (what === "cancel" && !(await sure())) return;
  button.disabled = true;
  try {
    await post(`/api/runs/${run}/${what}`);
    toast(ASKS[what], "good");
  } catch (error) {
    toast(error.message, "bad");
  }
  button.disabled = false;
  // Who has the run is no record: looked for a few times.
  [500, 2000, 5000].forEach((wait) => setTimeout(soon, wait));
  if (what === "resume") follow(log.last);
}

function sure() {
  const dialog = document.getElementById("sure");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

async function verify(button) {
  const said = document.getElementById("verified");
  button.disabled = true;
  said.className = "hint";
  said.textContent = "Recomputing every digest…";
  try {
    const found = await ask(`/api/runs/${run}/verification`);
    said.className = found.ok ? "good" : "bad";
    said.textContent = found.ok
      ? `Intact: all ${found.records.toLocaleString("en")} records follow from each other. The head is ${found.head}; compare it with one that was kept elsewhere.`
      : `Broken${found.firstBadSeq ? ` at record ${found.firstBadSeq.toLocaleString("en")}` : ""}: ${found.problem}`;
  } catch (error) {
    said.className = "bad";
    said.textContent = error.message;
  }
  button.disabled = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  const menu = document.querySelector(".menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
  if (!button) return;
  if (button.dataset.do) act(button);
  else if (button.id === "verify") verify(button);
  else if (button.dataset.copy) {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied.");
  }
});
document.addEventListener("keydown", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (event.key !== "Escape" || !menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// Over all figures, hence not before somebody wants to know.
async function statistics(place) {
  place.textContent = "Reading all figures…";
  try {
    place.replaceChildren(statisticsTable(await ask(`/api/runs/${run}/statistics`)));
  } catch (error) {
    place.textContent = error.message;
  }
}

document.addEventListener("toggle", (event) => {
  if (event.target.id !== "statistics" || !event.target.open) return;
  statistics(document.getElementById("statistics-said"));
}, true);

keepTimes();
Promise.all([chart.refresh(), log.refresh()]).then(refresh, () => lost(true));
follow(records);
