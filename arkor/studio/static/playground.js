// The playground: one chat, or two side by side that are asked the same.
import { Chat } from "./chat.js";
import { element, toast } from "./http.js";
import { Picker } from "./picker.js";

const $ = (id) => document.getElementById(id);
const [form, question, send, stop] = ["composer", "question", "send", "stop"].map($);
const [compare, save, clear] = ["compare", "save", "clear"].map($);
const panes = [];

class Pane {
  constructor(number) {
    this.root = $("pane").content.firstElementChild.cloneNode(true);
    this.root.setAttribute("aria-label", number ? "Second model" : "Model");
    this.turns = this.root.querySelector(".turns");
    this.turns.setAttribute("aria-label", number ? "Second conversation" : "Conversation");
    this.turns.addEventListener("again", (event) => this.say(event.detail));
    this.chat = new Chat(this.turns, refresh);
    this.picker = new Picker(this.root, () => this.changed(), `-${number}`);
    this.root.querySelector(".model").addEventListener("input", refresh);
  }

  // Another model begins another conversation.
  changed() {
    const now = JSON.stringify([this.picker.run, this.picker.model]);
    if (now === this.before) return;
    this.before = now;
    this.chat.clear();
    mirror();
  }

  say(text) {
    const { run, model } = this.picker;
    if (!model || this.chat.running) return;
    const system = $("system").value.trim();
    this.chat.ask(text, { run, ask: model, settings: settings(), system });
  }
}

const SETTINGS = { temperature: "temperature", "top-p": "topP", "max-tokens": "maxTokens" };

function settings() {
  const given = Object.entries(SETTINGS).filter(([id]) => $(id).value !== "");
  return Object.fromEntries(given.map(([id, name]) => [name, Number($(id).value)]));
}

function refresh() {
  const busy = panes.some((pane) => pane.chat.running);
  const ready = panes.length > 0 && panes.every((pane) => pane.picker.model);
  const any = panes.some((pane) => pane.chat.exchanges.length);
  send.disabled = busy || !ready || !question.value.trim();
  stop.hidden = !busy;
  save.disabled = !any;
  clear.disabled = !any && !busy && !panes.some((pane) => pane.turns.querySelector(".said"));
}

// The page's address says what is chosen, so that it can be kept or sent on.
function mirror() {
  const query = new URLSearchParams();
  panes.forEach(({ picker }, number) => {
    const end = number ? "2" : "";
    if (picker.run || number) query.set(`run${end}`, picker.run);
    if (picker.step != null) query.set(`step${end}`, picker.step);
  });
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

function add(run, step) {
  const pane = new Pane(panes.length);
  panes.push(pane);
  $("panes").append(pane.root);
  pane.picker.choose(run, step);
}

function compareTwo(two, run = panes[0].picker.run, step = run ? "base" : null) {
  compare.setAttribute("aria-pressed", String(two));
  if (two) add(run, step);
  else {
    const last = panes.pop();
    last.chat.stop();
    last.root.remove();
    mirror();
  }
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
    messages: [...first, ...pane.chat.messages], model: pane.picker.label, run: pane.picker.run || undefined,
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
if (address.has("run2")) compareTwo(true, address.get("run2"), address.get("step2"));
