// The choice of a model: that of a run, trained so far, or a base model by its name.
import { ask as request, element } from "./http.js";
import { sentence } from "./sentence.js";

export class Picker {
  // `root` has the macro `picker` of `_models.html` in it; `changed` is called when another model
  // is chosen. `suffix` keeps the ids of two of them apart.
  constructor(root, changed, suffix = "") {
    this.find = (name) => root.querySelector(`.${name}`);
    this.changed = changed;
    this.models = null;
    for (const name of ["source", "model", "variant"]) {
      this.find(name).id = `${name}${suffix}`;
      this.find(`${name}-label`).htmlFor = `${name}${suffix}`;
    }
    this.find("source").addEventListener("change", () => this.load());
    for (const name of ["variant", "model"]) this.find(name).addEventListener("change", changed);
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
    if (!this.run || !this.model) return null;
    return this.model.baseModel ? "base" : this.model.adapter.step ?? null;
  }

  get label() {
    if (!this.run) return this.find("model").value.trim();
    return this.find("variant").selectedOptions[0]?.textContent ?? "";
  }

  // Choose a run (none: the base model of that name), and the checkpoint, or "base".
  choose(run, step = null, name = null) {
    const source = this.find("source");
    source.value = run;
    if (source.selectedIndex < 0) source.value = "";
    if (name !== null) this.find("model").value = name;
    return this.load(step);
  }

  async load(step = null) {
    const run = this.run;
    this.models = null;
    this.find("named").hidden = Boolean(run);
    this.find("trained").hidden = !run;
    this.problem("");
    const variant = this.find("variant");
    variant.replaceChildren(element("option", { textContent: "Loading…" }));
    variant.disabled = true;
    this.changed();
    if (!run) return;
    try {
      const { models } = await request(`/api/inference/models?run=${encodeURIComponent(run)}`);
      if (run === this.run) this.#offer(models, step);
    } catch (error) {
      if (run !== this.run) return;
      variant.replaceChildren(element("option", { textContent: "Nothing to ask" }));
      this.problem(sentence(error.message));
    }
  }

  #offer(models, step) {
    this.models = models;
    const variant = this.find("variant");
    variant.replaceChildren(...models.map(({ label }) => element("option", { textContent: label })));
    variant.disabled = !models.length;
    const wanted = models.findIndex(({ ask }) =>
      step === "base" ? ask.baseModel : ask.adapter?.step === Number(step));
    if (step !== null && wanted >= 0) variant.selectedIndex = wanted;
    else if (step !== null) this.problem(`This run has no checkpoint of step ${step}.`);
    if (!models.some(({ ask }) => ask.adapter)) {
      this.problem("This run has saved no checkpoint yet: there is only its base model.");
    }
    this.changed();
  }

  problem(text) {
    this.find("problem").textContent = text;
    this.find("problem").hidden = !text;
  }
}
