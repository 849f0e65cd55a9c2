// Asking before something is done that cannot be undone.
import { element } from "./http.js";

// Resolves to whether the person agreed. Escape, and Cancel, which has the focus, mean no.
export function confirmed({ title, text, action, danger = false }) {
  const cancel = element("button", { type: "submit", value: "no", textContent: "Cancel", autofocus: true });
  const agree = element("button", { type: "submit", value: "yes", textContent: action });
  agree.className = danger ? "danger" : "primary";
  const heading = element("h2", { textContent: title, id: "confirm-title" });
  const form = element("form", { method: "dialog" }, heading, element("p", { textContent: text }),
    element("div", { className: "row" }, cancel, agree));
  const dialog = element("dialog", { className: "confirm" }, form);
  dialog.setAttribute("aria-labelledby", "confirm-title");
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
