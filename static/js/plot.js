// Draws the figure of the page in the theme that the reader chose, and anew where that changes.
const figures = JSON.parse(document.getElementById("figures").textContent);
const place = document.getElementById("plot");
// Below this many pixels names of rows stand above their marks instead of beside them.
const NARROW = 480;
const darkness = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return localStorage.getItem("theme") || (darkness.matches ? "dark" : "light");
}

function draw() {
  const chosen = theme();
  document.documentElement.dataset.theme = chosen;
  const { data, layout } = figures[chosen] || figures.light;
  (frameElement || place).style.height = `${layout.height}px`;
  const fitted = { ...layout, height: undefined, autosize: true };
  if (innerWidth < NARROW && layout.yaxis?.ticktext && data[0].type !== "heatmap") {
    fitted.yaxis = { ...layout.yaxis, ticklabelposition: "inside top", tickfont: { size: 10 } };
    fitted.bargap = 0.65;
  }
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] };
  Plotly.react(place, data, fitted, config);
}

draw();
darkness.addEventListener("change", draw);
addEventListener("storage", (event) => { if (event.key === "theme") draw(); });
