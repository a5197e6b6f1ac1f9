"use strict";
// Shows the values at the place nearest to the pointer, as text below the chart.
for (const figure of document.querySelectorAll("figure.chart")) {
  const curves = JSON.parse(figure.dataset.curves);
  const svg = figure.querySelector("svg[role=img]");
  const readout = figure.querySelector(".readout");
  const note = readout.textContent;
  const [from, to] = JSON.parse(figure.dataset.steps);
  const { width, height } = svg.viewBox.baseVal;
  const [left, right, top, bottom] = JSON.parse(figure.dataset.margins);
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
  cursor.setAttribute("class", "cursor");
  svg.append(cursor);
  const nearest = (points, step) =>
    points.reduce((best, p) => (Math.abs(p[0] - step) < Math.abs(best[0] - step) ? p : best));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * width;
    const step = from + ((place - left) / (width - left - right)) * (to - from);
    const found = curves.map(([label, points]) => [label, nearest(points, step)]);
    const at = nearest(found.map(([, p]) => p), step)[0];
    const x = left + ((at - from) / (to - from)) * (width - left - right);
    cursor.setAttribute("d", `M${x.toFixed(1)} ${top}V${height - bottom}`);
    readout.textContent = `${figure.dataset.over} ${Math.round(at)}: ` + found.map(([label, p]) => `${label} ${p[1]}`).join(", ");
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("d", "");
    readout.textContent = note;
  });
}
