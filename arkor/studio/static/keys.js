// The keys of an endpoint. A new one is shown once, and nobody leaves it behind by accident.
import { confirmed } from "./dialogs.js";
import { ask, element, post, toast } from "./http.js";
import { sentence } from "./sentence.js";
import { ago } from "./words.js";

const $ = (id) => document.getElementById(id);
const REFRESH = 15000;

export class Keys {
  // `path` is that of the keys.
  constructor(path) {
    this.path = path;
    this.busy = ""; // what would be lost by leaving now
    $("issue").addEventListener("submit", (event) => {
      event.preventDefault();
      this.issue();
    });
    $("acknowledge").addEventListener("click", () => this.putAway());
    $("copy-key").addEventListener("click", () => copy($("plaintext").textContent, "The key"));
    addEventListener("beforeunload", (event) => {
      if (this.busy) event.preventDefault();
    });
    document.addEventListener("click", (event) => this.leave(event), true);
    // When a key was last used changes without us.
    setInterval(() => document.hidden || this.load(), REFRESH);
  }

  async load() {
    try {
      const { keys } = await ask(this.path);
      this.show(keys);
    } catch (error) {
      const again = element("button", { type: "button", textContent: "Try again" });
      again.addEventListener("click", () => this.load());
      $("keys").replaceChildren(element("p", { className: "banner bad", role: "alert" },
        element("span", { textContent: `The keys cannot be shown: ${error.message}.` }), again));
    }
    $("keys").setAttribute("aria-busy", "false");
  }

  show(keys) {
    const text = JSON.stringify(keys);
    if (text === this.shown && $("keys").querySelector("table, .hint")) return; // the focus stays
    this.shown = text;
    if (!keys.length) {
      $("keys").replaceChildren(element("p", { className: "hint", textContent: "No keys yet." }));
      return;
    }
    const heads = ["For", "Issued", "Last used", ""];
    const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col", textContent: name, className: name === "Issued" ? "issued" : "" })));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...keys.map((key) => this.row(key))));
    $("keys").replaceChildren(element("div", { className: "scroll" }, table));
  }

  row(key) {
    const end = key.enabled
      ? element("button", { type: "button", className: "danger", textContent: "Revoke" })
      : element("span", { className: "state", textContent: "revoked" });
    if (key.enabled) {
      end.setAttribute("aria-label", `Revoke the key for ${key.label}`);
      end.addEventListener("click", () => this.revoke(key));
    }
    return element("tr", { className: key.enabled ? "" : "revoked" },
      element("th", { scope: "row" }, element("span", { textContent: key.label }),
        element("code", { textContent: `${key.prefix}…` })),
      element("td", { className: "nowrap issued" }, moment(key.createdAt)),
      element("td", { className: "nowrap" }, key.lastUsedAt ? moment(key.lastUsedAt) : "never"),
      element("td", { className: "number" }, end));
  }

  async issue() {
    if (this.busy) return;
    const label = $("label").value.trim();
    $("issue-failure").hidden = true;
    this.hold("issuing");
    try {
      const { key } = await post(this.path, { label });
      $("label").value = "";
      $("plaintext").textContent = key.plaintext;
      $("secret").hidden = false;
      this.hold("shown");
      $("plaintext").focus();
    } catch (error) {
      this.hold("");
      $("issue-failure").textContent = sentence(error.message);
      $("issue-failure").hidden = false;
    }
    await this.load();
  }

  putAway() {
    $("plaintext").textContent = "";
    $("secret").hidden = true;
    this.hold("");
    $("label").focus();
  }

  hold(busy) {
    this.busy = busy;
    for (const each of $("issue").elements) each.disabled = Boolean(busy);
  }

  async revoke(key) {
    const text = `Whoever uses the key for ${key.label} (${key.prefix}…) is refused from then on. It cannot be undone.`;
    if (!(await confirmed({ title: "Revoke this key?", text, action: "Revoke", danger: true }))) return;
    try {
      await ask(`${this.path}/${encodeURIComponent(key.id)}`, { method: "DELETE" });
      toast(`The key for ${key.label} is revoked`);
    } catch (error) {
      toast(sentence(error.message), "bad");
    }
    await this.load();
  }

  // Whoever follows a link is asked here; a tab that is closed is for the browser to ask about.
  async leave(event) {
    const link = event.target.closest?.("a[href]");
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || link?.target === "_blank";
    if (!this.busy || !link || elsewhere || link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    event.stopPropagation();
    if (await this.mayLose()) location.assign(link.href);
  }

  // Whether what is under way may be given up; asks if there is something.
  async mayLose() {
    if (!this.busy) return true;
    const [title, text] = this.busy === "issuing"
      ? ["A key is being issued", "Whoever leaves now will not see it. It can then only be revoked."]
      : ["The new key is still shown", "It is never shown again. Leave only if it has been put away."];
    const left = await confirmed({ title, text, action: "Leave", danger: true });
    if (left) this.busy = "";
    return left;
  }
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} is in the clipboard`);
  } catch {
    toast("The browser does not let this page copy; select the text instead", "bad");
  }
}

export function moment(time) {
  const made = element("time", { textContent: ago(time) });
  made.dateTime = time;
  made.title = time;
  return made;
}
