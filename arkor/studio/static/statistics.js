// How the metrics are distributed, as a table.
import { element } from "./http.js";
import { count, figure } from "./words.js";

const NAMES = { loss: "loss", eval_loss: "eval loss", learning_rate: "learning rate", samples_per_second: "samples / s" };
const COLUMNS = [
  ["n", (each) => count(each.count)],
  ["mean ± 95 %", (each) => figure(each.mean) + (each.halfWidth == null ? "" : ` ± ${figure(each.halfWidth)}`)],
  ["std dev", (each) => figure(each.deviation)],
  ["variance", (each) => figure(each.variance)],
  ["p90", (each) => figure(each.p90)],
  ["p95", (each) => figure(each.p95)],
];

export function statisticsTable(found) {
  const cell = (text) => element("td", { className: "number", textContent: text });
  const heading = (text, n) => element("th", { scope: "col", className: n ? "number" : "", textContent: text });
  return element("div", { className: "scroll", role: "region", "aria-label": "Statistics of each metric", tabIndex: 0 },
    element("table", {},
      element("thead", {}, element("tr", {}, ...["metric", ...COLUMNS.map(([name]) => name)].map(heading))),
      element("tbody", {}, ...Object.entries(found).map(([name, each]) =>
        element("tr", {}, element("th", { scope: "row", textContent: NAMES[name] ?? name }), ...COLUMNS.map(([, of]) => cell(of(each))))))));
}
