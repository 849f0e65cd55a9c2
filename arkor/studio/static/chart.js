// Curves drawn by Plotly from the figure that Studio sends: axes, scale and smoothing are chosen here.
import { ask } from "./http.js";
import { count } from "./words.js";

const CONFIG = {
  responsive: true,
  displaylogo: false,
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
};

// A moving average that weighs older values less and less, without a pull towards its beginning.
export function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0, weights = 0;
  return values.map((value) => {
    if (value == null) return null;
    sum = sum * weight + value * (1 - weight);
    weights = weights * weight + (1 - weight);
    return sum / weights;
  });
}

export class Chart {
  #box; #runs; #figure = null; #x = "step"; #y = "linear"; #weight = 0; #said; #asking = false; #again = false;

  constructor(box) {
    this.#box = box;
    this.#runs = box.dataset.run.split(" ");
    document.addEventListener("themechange", () => this.#draw());
    document.getElementById("tools").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#press(button);
    });
    document.getElementById("smoothing").addEventListener("input", (event) => {
      this.#weight = Number(event.target.value);
      document.getElementById("smoothed").textContent = event.target.value;
      this.#draw();
    });
  }

  // Fetches the figure, again and again while the log is being read; true once that is done.
  async refresh() {
    if (this.#asking) { this.#again = true; return; }
    this.#asking = true;
    try {
      do {
        this.#again = false;
        const said = await ask(`/api/figure?${this.#runs.map((run) => `run=${run}`).join("&")}`);
        const text = JSON.stringify(said.figure);
        if (text !== this.#said) {
          this.#said = text;
          this.#figure = said.figure;
          this.#draw();
        }
        this.#tell(said);
        this.#again ||= said.waits;
      } while (this.#again);
    } finally {
      this.#asking = false;
    }
  }

  #tell({ read, records, waits }) {
    const place = document.getElementById("reading");
    if (!waits) { place.replaceChildren(); return; }
    const bar = Object.assign(document.createElement("progress"), { max: records, value: read });
    bar.setAttribute("aria-label", "Records read");
    place.replaceChildren(bar, `A sketch, until all ${count(records)} records are read.`);
  }

  #press(button) {
    if (button.id === "picture") {
      const name = `${this.#runs.join("-")}-metrics`;
      const background = colour("--sheet");
      Plotly.toImage({ data: this.#data(), layout: { ...this.#layout(), paper_bgcolor: background }, config: CONFIG },
        { format: "png", width: 1400, height: 760, scale: 2 }).then((url) => {
        Object.assign(document.createElement("a"), { href: url, download: `${name}.png` }).click();
      });
      return;
    }
    if (button.dataset.x) this.#x = button.dataset.x;
    if (button.dataset.y) this.#y = button.dataset.y;
    for (const other of button.parentElement.children) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    this.#draw();
  }

  #draw() {
    if (!this.#figure?.data.length) return;
    if (this.#box.dataset.drawn !== "yes") this.#box.replaceChildren();
    Plotly.react(this.#box, this.#data(), this.#layout(), CONFIG);
    this.#box.dataset.drawn = "yes";
    document.getElementById("tools").inert = false;
  }

  #data() {
    return this.#figure.data.flatMap((trace) => {
      const placed = { ...trace, x: this.#x === "time" ? trace.meta.time : trace.x };
      // Marks, and an evaluation now and then, are what they are.
      if (!this.#weight || trace.yaxis !== "y" || trace.y.length < 5) return [placed];
      const faint = { ...placed, opacity: 0.25, showlegend: false, hoverinfo: "skip", hovertemplate: undefined };
      return [faint, { ...placed, mode: "lines", y: smoothed(trace.y, this.#weight) }];
    });
  }

  #layout() {
    const { meta, ...layout } = structuredClone(this.#figure.layout);
    layout.font = { ...layout.font, color: colour("--soft") };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") };
    layout.hoverlabel = { bgcolor: colour("--sheet"), bordercolor: colour("--line"), font: { color: colour("--ink") } };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      Object.assign(layout[name], { gridcolor: colour("--grid"), linecolor: colour("--line") });
    }
    layout.xaxis.title.text = meta[this.#x];
    if (layout.yaxis) layout.yaxis.type = this.#y;
    for (const name of Object.keys(layout).filter((key) => /^yaxis\d*$/.test(key) && layout[key].title)) {
      Object.assign(layout[name], { automargin: true, title: { ...layout[name].title, standoff: 12 } });
    }
    if (this.#box.clientWidth < 520) layout.margin = { ...layout.margin, l: 40, r: 6 };
    // The same zoom as long as the axes are the same.
    layout.uirevision = `${this.#x} ${this.#y}`;
    return layout;
  }
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
