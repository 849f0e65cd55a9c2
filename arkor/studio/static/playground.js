// The playground: one chat, or two side by side that are asked the same.
import { ask as request, element, toast } from "./http.js";
import { Chat } from "./chat.js";

const $ = (id) => document.getElementById(id);
const [form, question, send, stop] = ["composer", "question", "send", "stop"].map($);
const [compare, save, clear] = ["compare", "save", "clear"].map($);
const panes = [];

class Pane {
  constructor(number) {
    this.root = $("pane").content.firstElementChild.cloneNode(true);
    this.find = (name) => this.root.querySelector(`.${name}`);
    this.root.setAttribute("aria-label", number ? "Second model" : "Model");
    for (const name of ["source", "model", "variant"]) {
      this.find(name).id = `${name}-${number}`;
      this.find(`${name}-label`).htmlFor = `${name}-${number}`;
    }
    this.chat = new Chat(this.find("turns"), refresh);
    this.find("turns").setAttribute("aria-label", number ? "Second conversation" : "Conversation");
    this.find("turns").addEventListener("again", (event) => this.say(event.detail));
    this.find("source").addEventListener("change", () => this.choose());
    this.find("variant").addEventListener("change", () => this.restart());
    this.find("model").addEventListener("change", () => this.restart());
    this.find("model").addEventListener("input", refresh);
  }

  get run() {
    return this.find("source").value;
  }

  // The part of a chat's body that says which model is asked; nothing if none is chosen.
  get model() {
    if (this.run) return this.models?.[this.find("variant").selectedIndex]?.ask;
    const name = this.find("model").value.trim();
    return name ? { baseModel: name } : undefined;
  }

  get step() {
    return this.run ? this.model?.adapter?.step ?? (this.model?.baseModel ? "base" : null) : null;
  }

  get label() {
    return this.run ? this.find("variant").selectedOptions[0]?.textContent : this.find("model").value;
  }

  // Load what can be asked of the run that is selected, and select one of these.
  async choose(step = null) {
    const run = this.run;
    this.models = null;
    this.find("named").hidden = Boolean(run);
    this.find("trained").hidden = !run;
    this.problem("");
    this.find("variant").replaceChildren(element("option", { textContent: "Loading…" }));
    this.find("variant").disabled = true;
    this.restart();
    if (!run) return;
    try {
      const { models } = await request(`/api/inference/models?run=${encodeURIComponent(run)}`);
      if (run === this.run) this.offer(models, step);
    } catch (error) {
      if (run !== this.run) return;
      this.find("variant").replaceChildren(element("option", { textContent: "Nothing to ask" }));
      this.problem(`${error.message}.`);
    }
  }

  offer(models, step) {
    this.models = models;
    const variant = this.find("variant");
    variant.replaceChildren(...models.map(({ label }) => element("option", { textContent: label })));
    variant.disabled = !models.length;
    const wanted = models.findIndex(({ ask }) =>
      step === "base" ? ask.baseModel : ask.adapter?.step === Number(step));
    if (step !== null && wanted < 0) this.problem(`This run has no checkpoint of step ${step}.`);
    if (wanted >= 0) variant.selectedIndex = wanted;
    if (!models.some(({ ask }) => ask.adapter)) {
      this.problem("This run has saved no checkpoint yet: only its base model can be asked.");
    }
    refresh();
    mirror();
  }

  problem(text) {
    this.find("problem").textContent = text;
    this.find("problem").hidden = !text;
  }

  // Another model begins another conversation.
  restart() {
    this.chat.clear();
    mirror();
  }

  say(text) {
    if (!this.model) return;
    const system = $("system").value.trim();
    this.chat.ask(text, { run: this.run, ask: this.model, settings: settings(), system });
  }
}

const SETTINGS = { temperature: "temperature", "top-p": "topP", "max-tokens": "maxTokens" };

function settings() {
  const given = Object.entries(SETTINGS).filter(([id]) => $(id).value !== "");
  return Object.fromEntries(given.map(([id, name]) => [name, Number($(id).value)]));
}

function refresh() {
  const busy = panes.some((pane) => pane.chat.running);
  const ready = panes.length > 0 && panes.every((pane) => pane.model);
  const any = panes.some((pane) => pane.chat.exchanges.length);
  // A focused button that is disabled loses the focus; the text field keeps it instead.
  send.disabled = busy || !ready || !question.value.trim();
  stop.hidden = !busy;
  save.disabled = !any;
  clear.disabled = !any && !busy && !panes.some((pane) => pane.find("turns").querySelector(".said"));
}

// The page's address says what is chosen, so that it can be kept or sent on.
function mirror() {
  const query = new URLSearchParams();
  panes.forEach((pane, number) => {
    const end = number ? "2" : "";
    if (pane.run) query.set(`run${end}`, pane.run);
    if (pane.run && pane.step != null) query.set(`step${end}`, pane.step);
    if (!pane.run && number) query.set("run2", "");
  });
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

function add(run = null, step = null) {
  const pane = new Pane(panes.length);
  panes.push(pane);
  $("panes").append(pane.root);
  if (run !== null) {
    pane.find("source").value = run;
    if (pane.find("source").selectedIndex < 0) pane.find("source").value = "";
  }
  pane.choose(step);
}

function compareTwo(two) {
  compare.setAttribute("aria-pressed", String(two));
  if (two && panes.length === 1) add(panes[0].run, panes[0].run ? "base" : null);
  if (!two && panes.length === 2) {
    const last = panes.pop();
    last.chat.stop();
    last.root.remove();
  }
  mirror();
  refresh();
}

function submit() {
  refresh();
  for (const id of Object.keys(SETTINGS)) if (!$(id).reportValidity()) return;
  if (send.disabled) return;
  const text = question.value.trim();
  question.value = "";
  panes.forEach((pane) => pane.say(text));
  refresh();
  question.focus();
}

// One line for each conversation, in the form that a dataset of chats has.
function download() {
  const system = $("system").value.trim();
  const first = system ? [{ role: "system", content: system }] : [];
  const lines = panes.filter((pane) => pane.chat.exchanges.length).map((pane) => JSON.stringify({
    messages: [...first, ...pane.chat.messages], model: pane.label, run: pane.run || undefined,
  }));
  const link = element("a", { download: "chat.jsonl" });
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/jsonl" }));
  link.click();
  URL.revokeObjectURL(link.href);
  toast("The chat is in chat.jsonl");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
question.addEventListener("input", refresh);
question.addEventListener("keydown", (event) => {
  // The Enter that ends the input of a Japanese or Chinese word is not ours (229: Safari).
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  submit();
});
stop.addEventListener("click", () => {
  panes.forEach((pane) => pane.chat.stop());
  question.focus();
});
clear.addEventListener("click", () => {
  panes.forEach((pane) => pane.chat.clear());
  question.focus();
});
save.addEventListener("click", download);
compare.addEventListener("click", () => compareTwo(panes.length === 1));

const address = new URLSearchParams(location.search);
const chosen = $("pane").content.querySelector("option[selected]")?.value ?? "";
if (matchMedia("(max-width: 900px)").matches) $("settings").open = false;
add(chosen, chosen ? address.get("step") : null);
if (address.has("run2")) {
  compareTwo(true);
  panes[1].find("source").value = address.get("run2");
  if (panes[1].find("source").selectedIndex < 0) panes[1].find("source").value = "";
  panes[1].choose(address.get("step2"));
}
