"use strict";
// Sorts and filters tables, says where figures come from, and draws the charts. Without it the tables are there, too.
const content = JSON.parse(document.getElementById("content").textContent);

// Tables ---------------------------------------------------------------------------------------------------------

const UNITS = { h: 3600, min: 60, s: 1 };

// What a cell is sorted by: the seconds of a duration, or the number that it begins with; NaN for a date, a commit, a name.
function sortKey(text) {
  const parts = [...text.matchAll(/(\d+) (h|min|s)\b/g)];
  if (parts.length) return parts.reduce((sum, [, count, unit]) => sum + count * UNITS[unit], 0);
  const number = text.match(/^\[?([-+]?\d[\d,]*(?:\.\d+)?)(?![\w.-])/);
  return number ? Number(number[1].replaceAll(",", "")) : NaN;
}

function sort(heading) {
  const table = heading.closest("table");
  const column = heading.cellIndex;
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.cells[column].textContent.trim()]);
  const [given, missing] = [rows.filter(([, text]) => text !== "-"), rows.filter(([, text]) => text === "-")];
  const keyed = given.map(([row, text]) => [row, text, sortKey(text)]);
  const numeric = keyed.every(([, , key]) => !Number.isNaN(key));
  keyed.sort(([, text, key], [, otherText, otherKey]) => {
    const difference = (numeric && key - otherKey) || text.localeCompare(otherText, "en", { numeric: true });
    return ascending ? difference : -difference;
  });
  table.tBodies[0].append(...keyed.map(([row]) => row), ...missing.map(([row]) => row));
}

function filter(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.querySelectorAll("main > section > .scroll tbody tr")];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => text.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("filtered").textContent = wanted.length ? `${shown} of ${rows.length} rows` : "";
}

// Where figures come from ----------------------------------------------------------------------------------------

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function folded(title, text) {
  return element("details", "", element("summary", title), element("pre", text));
}

const STANDS_FOR = /\{(runs|datasets|elsewhere)\}/;
const PATHS = "Paths begin in the project's folder; {runs}, {datasets} and {elsewhere} stand for folders outside it.";

function provenance(source) {
  const list = document.createElement("dl");
  const told = {
    commit: source.commit,
    started: source.started,
    hardware: Object.entries(source.hardware).filter(([, value]) => value !== null).map(([key, value]) => `${key} ${value}`).join(", "),
    versions: Object.entries(source.versions).map(([key, value]) => `${key} ${value}`).join(", "),
  };
  for (const [key, value] of Object.entries(told)) if (value) list.append(element("dt", key), element("dd", value));
  const command = element("pre", source.command);
  const copy = element("button", "Copy the command");
  copy.className = "copy";
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.command);
    copy.textContent = "Copied";
  });
  const parts = [element("h3", source.name), list, element("p", "Made, and to be repeated, by:"), command, copy];
  if (STANDS_FOR.test(source.command + source.config + source.record)) parts.push(element("p", PATHS));
  if (source.config) parts.push(folded("Config", source.config));
  parts.push(folded("Record", source.record));
  return parts;
}

function show(button) {
  const heading = button.closest("table").tHead.rows[0].cells[button.closest("td, th").cellIndex];
  const numbers = button.dataset.sources.split(" ");
  const parts = numbers.flatMap((number) => provenance(content.sources[number]));
  document.getElementById("provenance-title").textContent = `${heading.textContent}: ${button.textContent}`;
  document.getElementById("provenance-body").replaceChildren(...parts);
  document.getElementById("provenance").showModal();
}

// Charts ---------------------------------------------------------------------------------------------------------

// The page's policy permits neither code made of text, so that expressions are interpreted, nor styles but its own.
const options = { renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true } };

function picked() {
  return [...document.querySelectorAll(".pick-run:checked")].map((box) => box.value);
}

function curveRows(metric) {
  return picked().flatMap((run) => (content.curves[run][metric] ?? []).map(([epoch, value]) => ({ run, epoch, value })));
}

async function drawCurves() {
  const values = curveRows(document.getElementById("metric").value);
  document.getElementById("curves-chart").hidden = !values.length;
  document.getElementById("no-curves").hidden = values.length > 0;
  if (values.length) await vegaEmbed("#curves-chart", { ...content.curvesSpec, data: { values } }, options);
}

async function draw() {
  for (const [id, spec] of Object.entries(content.specs)) await vegaEmbed(`#${id}`, spec, options);
  await drawCurves();
  document.getElementById("metric").addEventListener("change", drawCurves);
  document.getElementById("runs-table").addEventListener("change", drawCurves);
  document.body.dataset.drawn = "true";
}

const MOST_PICKED_AT_FIRST = 6;
for (const box of document.querySelectorAll(".pick-run")) {
  box.disabled = !Object.values(content.curves[box.value]).some((values) => values.length);
  box.checked = !box.disabled && picked().length < MOST_PICKED_AT_FIRST;
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.classList.contains("sort")) sort(button.closest("th"));
  if (button?.classList.contains("figure")) show(button);
});
document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
draw();
