// Times that go on while the page is open: how long ago, and how long so far.
import { ago, duration } from "./words.js";

export function tellTimes() {
  document.querySelectorAll("time[data-ago]").forEach((each) => { each.textContent = ago(each.dateTime); });
  document.querySelectorAll("[data-since]").forEach((each) => {
    const seconds = (Date.now() - new Date(each.dataset.since)) / 1000;
    if (Number.isFinite(seconds)) each.textContent = duration(seconds);
  });
}

export function keepTimes() {
  tellTimes();
  setInterval(tellTimes, 1000);
}
