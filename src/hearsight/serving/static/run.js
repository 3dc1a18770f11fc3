// The curves of a training, which grow while it runs.

import { ask, element, fill, texts } from "./common.js";

const EVERY = 2000; // milliseconds between two looks
const [WIDTH, HEIGHT, LEFT, FOOT] = [560, 220, 56, 24];
const LAST = 20; // entries in the table
const DRAWN = 1000; // points of a curve: the lowest and the highest of each half as many parts
const NO_CURVE = new Set(["kind", "step", "epoch"]);
const held = document.getElementById("run");
const curves = document.getElementById("curves");
const entries = [];
let from = 0;
let fresh = false; // there are entries that the curves do not show
let drawn = 0; // when the curves were

const number = (value) => (Math.abs(value) >= 1000 || (value && Math.abs(value) < 0.001)
  ? value.toExponential(1) : String(Number(value.toPrecision(3))));

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// The lowest and the highest point of each part of a curve, in their order: what one sees of it.
function thinned(points) {
  if (points.length <= DRAWN) return points;
  const size = Math.ceil((2 * points.length) / DRAWN);
  const kept = [];
  for (let at = 0; at < points.length; at += size) {
    let [low, high] = [at, at];
    for (let each = at; each < Math.min(at + size, points.length); each++) {
      if (points[each][1] < points[low][1]) low = each;
      if (points[each][1] > points[high][1]) high = each;
    }
    kept.push(points[Math.min(low, high)], ...(low === high ? [] : [points[Math.max(low, high)]]));
  }
  return kept;
}

function chart(name, all) {
  const points = thinned(all);
  const values = points.map((point) => point[1]);
  const [first, last] = [all[0][0], all.at(-1)[0]];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (step) => LEFT + ((step - first) / (last - first || 1)) * (WIDTH - LEFT - 8);
  const y = (value) => 10 + (1 - (value - low) / (high - low || 1)) * (HEIGHT - FOOT - 20);
  const label = fill(texts.curve, { name, first: number(all[0][1]), last: number(all.at(-1)[1]), steps: last });
  const path = points.map(([step, value], at) => `${at ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const text = (at, down, words, anchor = "end") =>
    svg("text", { x: at, y: down, "text-anchor": anchor }, words);
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    svg("path", { d: `M${LEFT} 10V${HEIGHT - FOOT}H${WIDTH - 8}`, class: "axis" }),
    svg("path", { d: path, class: "curve" }),
    ...(points.length === 1 ? [svg("circle", { cx: x(first), cy: y(values[0]), r: 3, class: "dot" })] : []),
    text(LEFT - 6, 16, number(high)), text(LEFT - 6, HEIGHT - FOOT, number(low)),
    text(LEFT, HEIGHT - 6, String(first), "start"), text(WIDTH - 8, HEIGHT - 6, String(last)));
  return element("figure", {}, element("figcaption", {}, `${name}: ${number(all.at(-1)[1])}`), drawn);
}

function show() {
  if (!entries.length) return;
  const series = new Map();
  for (const entry of entries) {
    for (const [name, value] of Object.entries(entry)) {
      if (typeof value !== "number" || NO_CURVE.has(name)) continue;
      const title = entry.kind === "validation" ? `${texts.validation}: ${name}` : name;
      if (!series.has(title)) series.set(title, []);
      series.get(title).push([entry.step, value]);
    }
  }
  const order = [...series].sort(([a], [b]) => (b === "loss") - (a === "loss"));
  curves.replaceChildren(...order.map(([name, points]) => chart(name, points)));
  held.textContent = fill(texts.steps, { steps: entries.at(-1).step });
  const names = [...new Set(entries.slice(-LAST).flatMap(Object.keys))];
  document.getElementById("head").replaceChildren(
    ...names.map((name) => element("th", { scope: "col" }, name)));
  document.getElementById("rows").replaceChildren(...entries.slice(-LAST).reverse().map((entry) =>
    element("tr", {}, ...names.map((name) => element("td", {},
      typeof entry[name] === "number" ? number(entry[name]) : entry[name] ?? "")))));
}

async function look() {
  try {
    const found = await ask("GET", `/runs/${held.dataset.run}/log?from=${from}`);
    if (found.next < from) entries.length = 0; // it was begun anew
    from = found.next;
    entries.push(...found.entries);
    const more = found.entries.length > 1; // a long log comes in parts
    fresh ||= found.entries.length > 0;
    if (fresh && (!more || performance.now() - drawn > EVERY)) {
      show();
      fresh = false;
      drawn = performance.now();
    }
    setTimeout(look, more ? 0 : EVERY);
  } catch {
    setTimeout(look, 5 * EVERY); // the server may come back
  }
}
look();
