"use strict";
// Shows the values at the place nearest to the pointer, as text below the chart.
for (const figure of document.querySelectorAll("figure.chart")) {
  const curves = JSON.parse(figure.dataset.curves);
  const svg = figure.querySelector("svg[role=img]");
  const readout = figure.querySelector(".readout");
  const note = readout.textContent;
  const on = figure.dataset.scale === "log2" ? Math.log2 : (x) => x;
  const [from, to] = JSON.parse(figure.dataset.steps).map(on);
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", 22);
  cursor.setAttribute("y2", 196);
  const nearest = (points, at) =>
    points.reduce((best, p) => (Math.abs(on(p[0]) - at) < Math.abs(on(best[0]) - at) ? p : best));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const place = from + ((event.clientX - box.left) / box.width) * (to - from);
    const found = curves.map(([label, points]) => [label, nearest(points, place)]);
    const at = nearest(found.map(([, p]) => p), place)[0];
    const x = `${(100 * (on(at) - from)) / (to - from)}%`;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    svg.append(cursor);
    readout.textContent = `${figure.dataset.over} ${Math.round(at)}: ` + found.map(([label, p]) => `${label} ${p[1]}`).join(", ");
  });
  svg.addEventListener("pointerleave", () => {
    cursor.remove();
    readout.textContent = note;
  });
  figure.dataset.ready = "";
}
for (const figure of document.querySelectorAll("figure.heat")) {
  const [labels, rows, shares] = [figure.dataset.labels, figure.dataset.rows, figure.dataset.shares].map((t) => JSON.parse(t));
  const readout = figure.querySelector(".readout");
  const note = readout.textContent;
  for (const svg of figure.querySelectorAll("svg[role=img]")) {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const column = Math.min(rows.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * rows.length)));
      const values = labels.map((label, n) => `${label} ${shares[n][column] ?? "not asked"}`);
      readout.textContent = `question of row ${rows[column]}: ${values.join(", ")}`;
    });
    svg.addEventListener("pointerleave", () => (readout.textContent = note));
  }
}
