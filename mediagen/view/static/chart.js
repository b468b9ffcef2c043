// One curve as a small SVG: raw values pale, their running mean dark, a cursor that all charts share.

import { el, svg } from "./dom.js";

const SIZE = { width: 320, height: 150, left: 44, right: 4, top: 10, bottom: 20 };
const LINES = 4;

/** 0.000123 -> "0.000123", 1234567 -> "1.23e6": short, and with figures that mean something. */
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace("e+", "e").replace(".0e", "e");
  return String(Number(value.toPrecision(3)));
}

export class Chart {
  /** `hover(iteration or null)` is told where the pointer is. */
  constructor(name, hover) {
    this.name = name;
    this.output = el("output");
    this.plot = svg("svg", { role: "img" });
    this.element = el("article", { className: "chart" }, el("header", {}, el("h3", { textContent: name.replaceAll("_", " "), title: name }), this.output), this.plot);
    this.plot.addEventListener("pointermove", (event) => hover(this.#iteration(event)));
    this.plot.addEventListener("pointerleave", () => hover(null));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  /** New points [[iteration, value], ...] over the iterations first..last of all curves. */
  set(points, span, log) {
    const key = JSON.stringify([points.length, points.at(-1), span, log]);
    if (key === this.key) return;
    Object.assign(this, { key, points, span, log: log && points.every(([, value]) => value > 0) });
    this.draw();
  }

  draw() {
    if (!this.points?.length) return;
    const width = this.plot.clientWidth || SIZE.width;
    this.box = { ...SIZE, width };
    this.plot.setAttribute("viewBox", `0 0 ${width} ${SIZE.height}`);
    this.range = this.#range();
    this.cursor = svg("g");
    const path = (values) => values.map(([x, y], k) => `${k ? "L" : "M"}${this.#x(x).toFixed(1)} ${this.#y(y).toFixed(1)}`).join("");
    const curves =
      this.points.length > 1
        ? [svg("path", { class: "raw", d: path(this.points) }), svg("path", { class: "smooth", d: path(smoothed(this.points)) })]
        : [svg("circle", { class: "spot", r: 3.5, cx: this.#x(this.points[0][0]), cy: this.#y(this.points[0][1]) })];
    this.plot.replaceChildren(...this.#grid(), ...curves, this.cursor);
    const now = this.points.at(-1)[1];
    this.plot.setAttribute("aria-label", `${this.name}: now ${short(now)} at iteration ${this.points.at(-1)[0]}`);
    this.point(null);
  }

  /** Shows the value at an iteration; the newest one for null. */
  point(iteration) {
    if (!this.points?.length) return;
    const at = iteration === null ? this.points.at(-1) : nearest(this.points, iteration);
    this.output.replaceChildren(el("b", { textContent: short(at[1]) }), iteration === null ? "" : ` at ${at[0].toLocaleString("en-US")}`);
    if (iteration === null) return this.cursor?.replaceChildren();
    const [x, y] = [this.#x(at[0]), this.#y(at[1])];
    this.cursor.replaceChildren(
      svg("line", { class: "cursor", x1: x, x2: x, y1: SIZE.top, y2: SIZE.height - SIZE.bottom }),
      svg("circle", { class: "spot", cx: x, cy: y, r: 4 }),
    );
  }

  #iteration(event) {
    const { left, width } = this.plot.getBoundingClientRect();
    const share = (event.clientX - left - SIZE.left) / (width - SIZE.left - SIZE.right);
    return this.span[0] + Math.min(1, Math.max(0, share)) * (this.span[1] - this.span[0]);
  }

  #scaled(value) {
    return this.log ? Math.log10(value) : value;
  }

  /** From the 1st to the 99th percentile: one spike must not flatten the rest. */
  #range() {
    const ordered = this.points.map(([, value]) => this.#scaled(value)).sort((a, b) => a - b);
    const trim = Math.floor(ordered.length / 100);
    const [low, high] = [ordered[trim], ordered.at(-1 - trim)];
    const pad = 0.06 * (high - low) || Math.max(Math.abs(high), 1e-3) * 0.1;
    return [low - pad, high + pad];
  }

  #x(iteration) {
    const { width, left, right } = this.box;
    const [first, last] = this.span;
    return left + ((iteration - first) / Math.max(1, last - first)) * (width - left - right);
  }

  #y(value) {
    const [low, high] = this.range;
    const share = (Math.min(high, Math.max(low, this.#scaled(value))) - low) / (high - low);
    return SIZE.height - SIZE.bottom - share * (SIZE.height - SIZE.top - SIZE.bottom);
  }

  #grid() {
    const { width, left, right } = this.box;
    const [low, high] = this.range;
    const marks = (this.log ? decades : round)(low, high);
    const lines = marks.flatMap((value) => {
      const y = this.#y(value);
      const text = svg("text", { x: left - 7, y: y + 3.5, "text-anchor": "end" }, short(value));
      return [svg("line", { x1: left, x2: width - right, y1: y, y2: y }), text];
    });
    const ends = this.span.map((value, k) =>
      svg("text", { x: k ? width - right : left, y: SIZE.height - 4, "text-anchor": k ? "end" : "start" }, value.toLocaleString("en-US")),
    );
    return [...lines, ...ends];
  }
}

/** Round values between two ends, about LINES of them. */
function round(low, high) {
  const rough = (high - low) / LINES;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((times) => times * ten >= 0.8 * rough) ?? 10) * ten;
  const marks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) marks.push(Number((k * step).toPrecision(12)));
  return marks;
}

/** Powers of ten between two logarithms, or round values where there are too few. */
function decades(low, high) {
  const step = Math.max(1, Math.ceil((high - low) / LINES));
  const marks = [];
  for (let k = Math.ceil(low); k <= high; k += step) marks.push(10 ** k);
  return marks.length > 1 ? marks : round(10 ** low, 10 ** high);
}

function smoothed(points) {
  const keep = 1 - 1 / Math.max(1, points.length / 25);
  let mean = points[0][1];
  return points.map(([x, y]) => [x, (mean = keep * mean + (1 - keep) * y)]);
}

function nearest(points, iteration) {
  return points.reduce((best, point) => (Math.abs(point[0] - iteration) < Math.abs(best[0] - iteration) ? point : best));
}
