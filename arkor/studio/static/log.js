// The log of a run: searched on the server in all its records, shown a page at a time.
import { ask, element } from "./http.js";
import { count } from "./words.js";

const PAGE = 100;
const NEAR = 40;

export class Log {
  last = 0;
  #run; #before = null; #page = []; #asked = 0; #tools; #body; #box; #said; #newer = [];

  constructor(run) {
    this.#run = run;
    this.#tools = document.getElementById("log-tools");
    this.#body = document.getElementById("log");
    this.#box = document.getElementById("log-box");
    this.#said = document.getElementById("log-said");
    let typed;
    this.#tools.addEventListener("input", (event) => {
      clearTimeout(typed);
      typed = setTimeout(() => this.#go(null), event.target.type === "search" ? 250 : 0);
    });
    this.#tools.addEventListener("submit", (event) => { event.preventDefault(); this.#go(null); });
    const press = (id, to) => document.getElementById(id).addEventListener("click", to);
    press("log-older", () => { this.#newer.push(this.#before); this.#go(this.#page[0].seq, this.#newer); });
    press("log-newer", () => this.#go(this.#newer.pop() ?? null, this.#newer));
    press("log-last", () => this.#go(null));
  }

  // New records are shown where the newest ones are.
  async refresh() {
    if (this.#before === null) await this.#load();
  }

  #go(before, newer = []) {
    this.#before = before;
    this.#newer = newer;
    this.#load(true);
  }

  async #load(moved = false) {
    const mine = ++this.#asked;
    const { q, type } = Object.fromEntries(new FormData(this.#tools));
    const asked = new URLSearchParams({ order: "newest", limit: PAGE });
    if (q) asked.set("q", q);
    if (type) asked.set("type", type);
    if (this.#before !== null) asked.set("before", this.#before);
    try {
      const found = await ask(`/api/runs/${this.#run}/records?${asked}`);
      // What was asked for since then comes later, and is what is wanted.
      if (mine === this.#asked) this.#show(found, moved, Boolean(q || type));
    } catch (error) {
      if (mine === this.#asked) this.#said.textContent = error.message;
    }
  }

  #show({ records, total }, moved, chosen) {
    const sticks = moved || this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR;
    if (!chosen && this.#before === null) this.last = records.at(-1)?.seq ?? 0;
    this.#page = records;
    const key = (each) => `${each.seq} ${each.digest}`;
    const there = new Map([...this.#body.children].map((row) => [row.dataset.key, row]));
    this.#body.replaceChildren(...records.map((each) => there.get(key(each)) ?? row(each, key(each))));
    if (sticks) this.#box.scrollTop = this.#box.scrollHeight;
    const what = chosen ? `of ${count(total)} found` : `of ${count(total)}`;
    this.#said.textContent = !total
      ? (chosen ? "No record is like that." : "No record yet.")
      : `${count(records.length)} ${what}${records.length ? `, records ${count(records[0].seq)} to ${count(records.at(-1).seq)}` : ""}`;
    document.getElementById("log-older").disabled = records.length < PAGE;
    document.getElementById("log-newer").disabled = this.#before === null;
    document.getElementById("log-last").disabled = this.#before === null;
  }
}

function row(record, key) {
  const made = element("tr", { className: record.source },
    element("td", { className: "number", textContent: count(record.seq) }),
    element("td", { className: "nowrap", textContent: time(record.recordedAt), title: record.recordedAt }),
    element("td", { className: "nowrap" }, element("code", { textContent: record.type })),
    element("td", { className: "data" }, element("code", { textContent: words(record) })));
  made.dataset.key = key;
  return made;
}

const time = (text) => text.slice(11, 23);
const LONGEST = 600;

// What a record says in a line: the figures of a log, and of the rest what is in it.
function words({ type, data }) {
  if (typeof data !== "object" || data === null) return cut(String(data));
  if (type === "training.log") {
    const names = ["step", "loss", "evalLoss", "learningRate", "epoch", "samplesPerSecond"];
    const told = names.filter((name) => data[name] != null).map((name) => `${name}=${data[name]}`);
    if (told.length) return told.join(" ");
  }
  if (type === "checkpoint.saved") return `step=${data.step}, ${data.artifacts?.length ?? 0} artifacts`;
  if (type === "training.failed" && typeof data.error === "string") return cut(data.error);
  return cut(JSON.stringify(data));
}

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)} … (${count(text.length)} characters)` : text);
