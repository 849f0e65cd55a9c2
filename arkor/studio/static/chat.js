// One conversation with one model. What failed is shown, and is not said to the model again.
import { element } from "./http.js";
import { sentence } from "./sentence.js";

// The text of a chat's answer, piece by piece; throws what went wrong as a sentence.
export async function* answer(run, body, signal) {
  const path = `/api/inference/chat${run ? `?run=${encodeURIComponent(run)}` : ""}`;
  const response = await fetch(path, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("Studio does not answer; is `arkor dev` still running?");
  });
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Error(said.error ?? `Studio answered ${response.status}`);
  }
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const value = JSON.parse(data);
    if (value.error) throw new Error(value.error);
    yield value.choices[0].delta.content;
  }
  throw new Error("The answer broke off; is `arkor dev` still running?");
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true };
    });
    if (done) return;
    const found = (rest + value).split("\n\n");
    rest = found.pop();
    for (const event of found) yield event.replace(/^data: /, "");
  }
}

export class Chat {
  // `turns` is the element to show it in; `changed` is called when it begins or ends something.
  constructor(turns, changed) {
    this.turns = turns;
    this.changed = changed;
    this.placeholder = turns.firstElementChild;
    this.exchanges = [];
    this.running = null;
  }

  get messages() {
    return this.exchanges.flatMap(({ asked, said }) => [
      { role: "user", content: asked },
      { role: "assistant", content: said },
    ]);
  }

  clear() {
    this.stop();
    this.running = null;
    this.exchanges = [];
    this.turns.replaceChildren(this.placeholder);
    this.changed();
  }

  stop() {
    this.running?.abort();
  }

  async ask(asked, { run, ask, settings, system }) {
    const abort = (this.running = new AbortController());
    this.placeholder.remove();
    const question = element("p", { className: "said user", textContent: asked });
    const bubble = element("p", { className: "said model coming" });
    bubble.setAttribute("aria-busy", "true");
    this.turns.append(question, bubble);
    this.turns.scrollTop = this.turns.scrollHeight;
    this.changed();
    const messages = [
      ...(system ? [{ role: "system", content: system }] : []),
      ...this.messages,
      { role: "user", content: asked },
    ];
    const started = performance.now();
    let said = "", first = null, failure = null;
    try {
      for await (const text of answer(run, { messages, ...ask, ...settings }, abort.signal)) {
        first ??= performance.now();
        said += text;
        this.#grow(bubble, text);
      }
    } catch (error) {
      failure = error;
    }
    const stopped = abort.signal.aborted;
    if (this.running !== abort) return; // cleared: nothing of it is shown any more
    this.running = null;
    bubble.classList.remove("coming");
    bubble.removeAttribute("aria-busy");
    if (!said) bubble.remove();
    if (failure && !stopped) this.#fail(failure, asked, question, bubble);
    else if (said) {
      this.exchanges.push({ asked, said });
      this.#note(times(started, first, stopped));
    } else {
      question.classList.add("lost");
      this.#note(stopped ? "Stopped before the first word" : "The model answered with no text");
    }
    this.changed();
  }

  #grow(bubble, text) {
    const { scrollTop, scrollHeight, clientHeight } = this.turns;
    const atEnd = scrollHeight - scrollTop - clientHeight < 40;
    bubble.append(text);
    if (atEnd) this.turns.scrollTop = this.turns.scrollHeight;
  }

  #note(text) {
    this.turns.append(element("p", { className: "note", textContent: text }));
    this.turns.scrollTop = this.turns.scrollHeight;
  }

  #fail(error, asked, question, bubble) {
    question.classList.add("lost");
    const again = element("button", { type: "button", textContent: "Try again" });
    const banner = element("div", { className: "banner bad" },
      element("span", { textContent: `${sentence(error.message)} The model is not told of this.` }), again);
    banner.setAttribute("role", "alert");
    again.addEventListener("click", () => {
      for (const each of [question, bubble, banner]) each.remove();
      this.turns.dispatchEvent(new CustomEvent("again", { detail: asked }));
    });
    this.turns.append(banner);
    this.turns.scrollTop = this.turns.scrollHeight;
  }
}

const seconds = (milliseconds) => `${(milliseconds / 1000).toFixed(1)} s`;

function times(started, first, stopped) {
  const all = seconds(performance.now() - started);
  return `${stopped ? "Stopped" : "Answered"} after ${all}, first word after ${seconds(first - started)}`;
}
