// Figures and times in words, as the server's templates say them.
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "N/A";
  const all = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (n) => String(n).padStart(2, "0");
  if (h) return `${h}h ${two(m)}m ${two(s)}s`;
  return m ? `${m}m ${two(s)}s` : `${s}s`;
}

export function ago(time, now = Date.now()) {
  const seconds = Math.round((now - new Date(time).getTime()) / 1000);
  if (!Number.isFinite(seconds)) return "N/A";
  if (seconds < 5) return "just now";
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]) {
    const n = Math.floor(seconds / size);
    if (n >= 1) return `${n} ${unit}${n === 1 ? "" : "s"} ago`;
  }
  return "just now";
}

export const figure = (x) => (x == null ? "N/A" : String(Number(x.toPrecision(6))));
export const count = (n) => n.toLocaleString("en");
export const middle = (text, most = 18) =>
  text.length <= most ? text : `${text.slice(0, most / 2)}…${text.slice(1 - most / 2)}`;

// Keeps every `<time datetime>` with `data-ago` right.
export function keepTimes() {
  const tell = () => document.querySelectorAll("time[data-ago]").forEach((each) => {
    each.textContent = ago(each.dateTime);
  });
  tell();
  setInterval(tell, 5000);
}
