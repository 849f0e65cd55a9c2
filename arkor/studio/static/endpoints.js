// The list of endpoints, and the form for a new one.
import { AUTH, Fields, answersWith, badge } from "./deployments.js";
import { ask, element, post, toast } from "./http.js";
import { sentence } from "./sentence.js";

const list = document.getElementById("list");
const dialog = document.getElementById("form");
const form = dialog.querySelector("form");
const failure = dialog.querySelector(".failure");
const submit = form.querySelector("button.primary");
const fields = new Fields(form);
let making = null;

async function load() {
  list.setAttribute("aria-busy", "true");
  try {
    show(await ask("/api/deployments"));
  } catch (error) {
    empty("The endpoints cannot be shown", sentence(error.message), button("Try again", load));
  }
  list.setAttribute("aria-busy", "false");
}

function show({ deployments, scopeMissing, why, backend }) {
  if (scopeMissing && backend === "local") {
    empty("The backend is not running", sentence(why), button("Start the backend", start));
  } else if (scopeMissing) {
    empty("No project yet", sentence(why));
  } else if (!deployments.length) {
    empty("No endpoints yet", "Make one to give a model an address: choose a slug and what answers there.",
      button("New endpoint", open));
  } else list.replaceChildren(element("ul", { className: "endpoints" }, ...deployments.map(item)));
}

function item(deployment) {
  const auth = AUTH[deployment.authMode] ?? deployment.authMode;
  return element("li", {}, element("a", { href: `/endpoints/${encodeURIComponent(deployment.id)}` },
    element("strong", { textContent: deployment.slug }),
    element("span", { className: "what", textContent: answersWith(deployment) }),
    element("span", { className: `state auth ${deployment.authMode === "none" ? "open" : ""}`, textContent: auth }),
    badge(deployment)));
}

function button(text, action) {
  const made = element("button", { type: "button", textContent: text });
  made.addEventListener("click", action);
  return made;
}

function empty(title, text, ...actions) {
  list.replaceChildren(element("div", { className: "empty" },
    element("h2", { textContent: title }), element("p", { textContent: text }), ...actions));
}

async function start(event) {
  event.target.disabled = true;
  event.target.textContent = "Starting…";
  try {
    await post("/api/backend/start");
  } catch (error) {
    toast(sentence(error.message), "bad");
  }
  await load();
}

function open() {
  fail("");
  fields.fill(null);
  dialog.showModal();
}

function fail(text) {
  failure.textContent = text;
  failure.hidden = !text;
}

async function make() {
  if (making) return; // a second click, or Enter again
  const body = fields.body;
  if (!body) return fail("Choose what it answers with.");
  const slug = form.elements.slug.value;
  making = new AbortController();
  submit.disabled = true;
  submit.textContent = "Making it…";
  fail("");
  try {
    const { deployment } = await ask("/api/deployments", {
      method: "POST", body: { slug, ...body }, signal: making.signal,
    });
    location.assign(`/endpoints/${encodeURIComponent(deployment.id)}`);
  } catch (error) {
    if (error.name === "AbortError") await lookFor(slug);
    else fail(sentence(error.message));
  } finally {
    making = null;
    submit.disabled = false;
    submit.textContent = "Make the endpoint";
  }
}

// A request that was given up may have been heard all the same.
async function lookFor(slug) {
  for (let tries = 0; tries < 6; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { deployments } = await ask("/api/deployments").catch(() => ({ deployments: [] }));
    if (!deployments.some((each) => each.slug === slug)) continue;
    toast(`${slug} had been made already; delete it if it is not wanted.`);
    return load();
  }
  toast(`${slug} was not made.`);
  return load();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  make();
});
function close() {
  making?.abort();
  dialog.close();
}
form.querySelector(".cancel").addEventListener("click", close);
dialog.addEventListener("cancel", () => making?.abort());
document.getElementById("new").addEventListener("click", open);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !dialog.open) load();
});
load();
if (fields.picker.run) open();
