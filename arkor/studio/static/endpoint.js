// One endpoint: how it is asked, its settings, its keys.
import { AUTH, Fields, answersWith, kept } from "./deployments.js";
import { confirmed } from "./dialogs.js";
import { ask, element, toast } from "./http.js";
import { Keys, copy, moment } from "./keys.js";
import { LANGUAGES, sample } from "./samples.js";
import { sentence } from "./sentence.js";

const $ = (id) => document.getElementById(id);
const path = `/api/deployments/${encodeURIComponent($("endpoint").dataset.id)}`;
const dialog = $("form");
const form = dialog.querySelector("form");
const failure = dialog.querySelector(".failure");
const fields = new Fields(form);
const keys = new Keys(`${path}/keys`);
const PUBLIC = {
  title: "Open it to everybody?", action: "Make it public", danger: true,
  text: "Whoever knows the address can then ask the model, without a key.",
};
let deployment = null;
let language = LANGUAGES[0];

async function load() {
  try {
    show((await ask(path)).deployment);
    keys.load();
  } catch (error) {
    const again = element("button", { type: "button", textContent: "Try again" });
    again.addEventListener("click", load);
    const back = element("a", { className: "button", href: "/endpoints", textContent: "All endpoints" });
    $("waiting").replaceChildren(element("h1", { textContent: "This endpoint cannot be shown" }),
      element("p", { textContent: sentence(error.message) }), element("p", {}, again, " ", back));
  }
  $("endpoint").setAttribute("aria-busy", "false");
}

function show(found) {
  deployment = found;
  document.title = `${found.slug} · Arkor Studio`;
  $("waiting").hidden = true;
  $("found").hidden = false;
  $("slug").textContent = found.slug;
  $("state").textContent = found.enabled ? "enabled" : "disabled";
  $("state").className = `state ${found.enabled ? "good" : ""}`;
  $("switch").textContent = found.enabled ? "Disable" : "Enable";
  $("url").textContent = found.url;
  $("local").hidden = found.backend !== "local";
  $("keys-note").textContent = found.authMode === "none"
    ? "The endpoint is public: it asks for no key, and these hold again once it does."
    : "A request shows one of these. Their text is shown when they are issued, and never again.";
  const facts = {
    "Answers with": found.run
      ? element("a", { href: `/runs/${found.run.runId}`, textContent: answersWith(found) })
      : answersWith(found),
    "Who may ask": AUTH[found.authMode] === "Public" ? "Everybody" : AUTH[found.authMode] ? "Whoever has a key" : found.authMode,
    "What was asked is kept": kept(found),
    Made: moment(found.createdAt),
    Changed: moment(found.updatedAt),
    ...(found.customDomain ? { "Own domain": found.customDomain } : {}),
  };
  $("facts").replaceChildren(...Object.entries(facts).map(([name, value]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", {}, value))));
  showSample();
}

function showSample() {
  $("sample").textContent = sample(language, deployment);
  $("languages").replaceChildren(...LANGUAGES.map((name) => {
    const choose = element("button", { type: "button", textContent: name });
    choose.setAttribute("aria-pressed", String(name === language));
    choose.addEventListener("click", () => {
      language = name;
      showSample();
      $("languages").querySelector('[aria-pressed="true"]').focus();
    });
    return choose;
  }));
}

async function change(body) {
  show((await ask(path, { method: "PATCH", body })).deployment);
}

$("switch").addEventListener("click", async () => {
  const { enabled, slug } = deployment;
  const text = `Requests to ${slug} are answered with 404 until it is enabled again. Its slug and its keys stay.`;
  if (enabled && !(await confirmed({ title: "Disable this endpoint?", text, action: "Disable" }))) return;
  try {
    await change({ enabled: !enabled });
    toast(`${slug} is ${enabled ? "disabled" : "enabled"}`);
  } catch (error) {
    toast(sentence(error.message), "bad");
  }
});

$("delete").addEventListener("click", async () => {
  if (!(await keys.mayLose())) return;
  const text = `${deployment.slug} and its keys go for good, and whoever asks it gets 404. The model stays.`;
  if (!(await confirmed({ title: "Delete this endpoint?", text, action: "Delete", danger: true }))) return;
  try {
    await ask(path, { method: "DELETE" });
    location.assign("/endpoints");
  } catch (error) {
    toast(sentence(error.message), "bad");
  }
});

$("edit").addEventListener("click", () => {
  failure.hidden = true;
  fields.fill(deployment);
  dialog.showModal();
});
form.querySelector(".cancel").addEventListener("click", () => dialog.close());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = fields.body;
  const opens = body?.authMode === "none" && deployment.authMode !== "none";
  if (opens && !(await confirmed(PUBLIC))) return;
  try {
    if (!body) throw new Error("Choose what it answers with");
    await change(body);
    dialog.close();
    toast(`${deployment.slug} is changed`);
  } catch (error) {
    failure.textContent = sentence(error.message);
    failure.hidden = false;
  }
});

$("copy-url").addEventListener("click", () => copy(deployment.url, "The address"));
$("copy-sample").addEventListener("click", () => copy($("sample").textContent, "The sample"));
load();
