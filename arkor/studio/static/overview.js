// The overview: the trainer, what is running, what ran last, how everything stands.
import { ask, element, post, toast } from "./http.js";
import { ago, count, duration, figure } from "./words.js";

const at = (id) => document.getElementById(id);
const buttons = [at("train"), at("dry-run")];
const log = at("output").querySelector("pre");
const MOST = 100000;
let trainer = null;
let watched = null;

// One question after another, never two at once; none while nobody looks.
function repeat(work, pause) {
  const next = async () => {
    if (!document.hidden) await work();
    setTimeout(next, pause);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) work(); });
  next();
}

function showTrainer({ trainer: found, problem }) {
  trainer = found;
  at("trainer-problem").hidden = !problem;
  at("trainer-problem").textContent = problem ?? "";
  at("trainer-said").textContent = found ? found.entry : "There is no trainer to run yet; what is missing stands below.";
  at("train").textContent = found ? `Run training: ${found.name}` : "Run training";
  const facts = [["Name", found?.name], ["Model", found?.model], ["Dataset", found?.dataset], ["Trains at", found?.backend]];
  at("trainer-facts").replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value ?? "N/A"))));
  allow();
}

function allow(busy = false) {
  for (const button of buttons) button.disabled = busy || !trainer;
}

async function lookAtProject() {
  try {
    showTrainer(await ask("/api/project"));
  } catch (error) {
    at("trainer-problem").hidden = false;
    at("trainer-problem").textContent = error.message;
  }
}

async function start(dryRun) {
  allow(true);
  try {
    const launch = await post("/api/train", { dryRun });
    toast(`${dryRun ? "The dry run" : "The training"} starts, and goes on when this page is closed.`);
    watch(launch.id);
    await lookAtRuns();
  } catch (error) {
    toast(error.message, "bad");
  }
  allow();
}

// What the process prints, as it comes.
async function watch(id) {
  watched = id;
  at("output").hidden = false;
  at("output").open = true;
  log.textContent = "";
  for (let from = 0; watched === id;) {
    try {
      const said = await ask(`/api/launches/${id}?from=${from}`);
      const low = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
      from = said.end;
      if (said.output) log.textContent = (log.textContent + said.output).slice(-MOST);
      if (low) log.scrollTop = log.scrollHeight;
      if (!said.alive && !said.output) return;
    } catch (error) {
      log.textContent += `\n[error] ${error.message}\n`;
      return;
    }
    await new Promise((done) => setTimeout(done, 500));
  }
}

const SVG = "http://www.w3.org/2000/svg";

function curve(values) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 160 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "curve");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", values.length > 1
    ? `the loss went from ${figure(values[0])} to ${figure(values.at(-1))}` : "no curve yet");
  if (values.length > 1) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", values.map((value, n) =>
      `${(n / (values.length - 1)) * 156 + 2},${36 - ((value - low) / (high - low || 1)) * 32}`).join(" "));
    svg.append(line);
  }
  return svg;
}

const state = (run) => element("span", { className: `state ${run.status}` }, run.status);

function follower(run) {
  if (!run.owner) return "nobody follows it";
  return { active: `followed by process ${run.owner.pid}`, idle: `kept by process ${run.owner.pid}`,
    orphan: "its process has gone; resume it to go on" }[run.owner.state];
}

function card(run) {
  const total = run.totalSteps;
  const bar = element("progress", { max: total || 1, "aria-label": "Steps" });
  if (total) bar.value = run.step;
  const left = run.secondsLeft == null ? "" : `${duration(run.secondsLeft)} left`;
  return element("a", { className: "card", href: `/runs/${encodeURIComponent(run.runId)}` },
    element("span", { className: "row spread" }, element("strong", { className: "text" }, run.name || run.runId), state(run)),
    curve(run.losses), bar,
    element("span", { className: "row spread hint" },
      element("span", {}, `step ${count(run.step)}${total ? ` of ${count(total)}` : ""}`),
      element("span", {}, run.loss == null ? "" : `loss ${figure(Number(run.loss.toPrecision(4)))}`),
      element("span", {}, left)),
    element("span", { className: "hint" }, follower(run)));
}

function row(run) {
  const name = element("a", { href: `/runs/${encodeURIComponent(run.runId)}`, className: "text" }, run.name || run.runId);
  return element("tr", {}, element("td", {}, state(run)), element("td", {}, name),
    element("td", { className: "number wide" }, run.loss == null ? "N/A" : figure(Number(run.loss.toPrecision(4)))),
    element("td", { className: "number wide" }, run.step ? count(run.step) : "N/A"),
    element("td", { className: "nowrap" }, element("time", { dateTime: run.createdAt, title: run.createdAt }, ago(run.createdAt))));
}

// Replaces the children only when they are other ones: a focus or a selection stays.
function put(parent, made) {
  const focus = parent.contains(document.activeElement) && document.activeElement.getAttribute("href");
  parent.replaceChildren(...made);
  if (focus) parent.querySelector(`[href="${CSS.escape(focus)}"]`)?.focus();
}

async function lookAtRuns() {
  let said;
  try {
    said = await ask("/api/overview");
  } catch (error) {
    put(at("current"), [element("p", { className: "banner bad", role: "alert" }, error.message)]);
    return;
  }
  at("current-count").textContent = said.current.length || "";
  put(at("current"), said.current.length ? said.current.map(card)
    : [element("p", { className: "hint" }, "Nothing is running. A training that is started here, or by `arkor start`, shows up by itself.")]);
  put(at("recent"), said.recent.length ? said.recent.map(row)
    : [element("tr", {}, element("td", { colSpan: 5, className: "hint" }, "No run has ended yet."))]);
  const mine = said.launches.find((launch) => launch.alive && launch.what !== "resume");
  if (mine && watched === null) watch(mine.id);
}

async function lookAtHealth() {
  const badge = element("span", { className: "state" });
  try {
    const { level, findings, checks } = await ask("/api/health");
    const kind = { ok: "good", note: "good", warning: "open", problem: "bad" }[level];
    const grave = findings.filter((each) => each.level !== "note").length;
    badge.className = `state ${kind}`;
    badge.textContent = grave ? `${grave} of ${checks} checks need a look` : `all ${checks} checks are fine`;
    at("findings").hidden = !findings.length;
    at("findings-list").replaceChildren(...findings.map((each) => element("li", {},
      element("span", { className: `state ${{ note: "", warning: "open", problem: "bad" }[each.level]}` }, each.level),
      element("div", {}, element("p", { className: "text" }, each.what),
        element("p", { className: "hint text" }, each.next_step ?? "")))));
  } catch (error) {
    badge.textContent = error.message;
  }
  at("health").replaceChildren(badge);
}

at("train").addEventListener("click", () => start(false));
at("dry-run").addEventListener("click", () => start(true));
repeat(lookAtRuns, 1500);
repeat(lookAtProject, 5000);
repeat(lookAtHealth, 60000);
