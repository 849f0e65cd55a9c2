"use strict";
// Draws each element with a `data-figure`: the id of the JSON that is its Plotly figure.
(() => {
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const boxes = [...document.querySelectorAll("[data-figure]")];

  function theme(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const changes = {
      "font.color": colour("--soft"),
      "modebar.bgcolor": "rgba(0,0,0,0)",
      "modebar.color": colour("--line"),
      "modebar.activecolor": colour("--soft"),
      "hoverlabel.bgcolor": colour("--sheet"),
      "hoverlabel.bordercolor": colour("--line"),
      "hoverlabel.font.color": colour("--ink"),
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      changes[`${name}.gridcolor`] = colour("--grid");
      changes[`${name}.linecolor`] = colour("--line");
    }
    return changes;
  }

  function draw(box) {
    const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
    figure.data.forEach((trace) => { trace.meta.step = trace.x; });
    box.figure = figure;
    Plotly.newPlot(box, figure.data, figure.layout, config);
    Plotly.relayout(box, theme(figure.layout));
    box.dataset.drawn = "yes";
  }

  function press(button) {
    const { chart, x, y } = button.dataset;
    const box = document.getElementById(chart);
    if (x) {
      Plotly.update(box, { x: box.figure.data.map((trace) => trace.meta[x]) },
        { "xaxis.title.text": box.figure.layout.meta[x], "xaxis.autorange": true });
    } else {
      Plotly.relayout(box, { "yaxis.type": y, "yaxis.autorange": true });
    }
    for (const other of button.parentElement.children) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  }

  boxes.forEach(draw);
  document.querySelectorAll(".tools").forEach((tools) => { tools.hidden = false; });
  document.querySelectorAll("button[data-chart]").forEach((button) => {
    button.addEventListener("click", () => press(button));
  });
  const repaint = () => boxes.forEach((box) => Plotly.relayout(box, theme(box.figure.layout)));
  dark.addEventListener("change", repaint);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
    repaint();
  });
  addEventListener("afterprint", repaint);
})();
