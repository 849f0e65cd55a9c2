// Deployments in words, and the form's part about what one is made of.
import { element } from "./http.js";
import { Picker } from "./picker.js";

export const AUTH = { fixed_api_key: "Keys", none: "Public" };

export function answersWith({ target, run }) {
  if (target.kind === "base_model") return `Base model ${target.baseModel}`;
  const { adapter } = target;
  if (!adapter) return `A model of another kind (${target.kind})`;
  const of = run ? run.name : `job ${adapter.jobId}`;
  return adapter.kind === "final" ? `Final adapter of ${of}` : `Checkpoint ${adapter.step} of ${of}`;
}

export function kept({ runRetentionMode: mode, runRetentionDays: days }) {
  if (mode === "days") return days === 1 ? "For a day" : `For ${days} days`;
  return { unlimited: "For ever", disabled: "Not at all" }[mode] ?? mode ?? "As the backend sees fit";
}

export function badge(deployment) {
  const [word, kind] = deployment.enabled ? ["enabled", "good"] : ["disabled", ""];
  return element("span", { className: `state ${kind}`, textContent: word });
}

// The fields of `_deployment_fields.html` in `form`.
export class Fields {
  constructor(form) {
    this.form = form;
    this.picker = new Picker(form, () => {});
    form.elements.retention.addEventListener("change", () => this.#days());
  }

  // As the deployment is, or as a new one is proposed.
  fill(deployment) {
    const { auth, retention, days } = this.form.elements;
    auth.value = deployment?.authMode ?? "fixed_api_key";
    retention.options[0].hidden = Boolean(deployment?.runRetentionMode);
    retention.value = deployment?.runRetentionMode ?? "";
    days.value = deployment?.runRetentionDays ?? 7;
    this.#days();
    if (!deployment) return this.picker.choose(this.picker.run);
    const { target, run } = deployment;
    if (run) return this.picker.choose(run.runId, target.adapter.step ?? null);
    return this.picker.choose("", null, target.baseModel ?? "");
  }

  // The body for the backend; nothing if no model is chosen.
  get body() {
    const { auth, retention, days } = this.form.elements;
    const { model } = this.picker;
    if (!model) return null;
    const target = model.adapter
      ? { kind: "adapter", adapter: model.adapter }
      : { kind: "base_model", baseModel: model.baseModel };
    const body = { target, authMode: auth.value };
    if (retention.value) body.runRetentionMode = retention.value;
    if (retention.value === "days") body.runRetentionDays = Number(days.value);
    return body;
  }

  #days() {
    const { retention, days } = this.form.elements;
    days.parentElement.hidden = retention.value !== "days";
    days.required = retention.value === "days";
    days.disabled = retention.value !== "days";
  }
}
