// Quiet figures at the bottom: what is being painted, how fast, where the pointer is, how long 100 pixels are.

import { json } from "./api.js";
import { $, compact } from "./dom.js";
import { grouped } from "./numbers.js";

const EVERY = 1000; // milliseconds between two looks at the server's figures
const RULER = 130; // screen pixels that the scale bar takes at most

export class Status {
  constructor(view, painter) {
    this.view = view;
    this.painter = painter;
    this.timer = 0;
    this.busy = false;
    view.map.on("move zoom resize rebase viewreset", () => this.measure());
    view.element.addEventListener("pointermove", (event) => this.#point(event));
    view.element.addEventListener("pointerleave", () => this.#say(view.place));
    view.map.on("moveend rebase", () => this.#say(view.place));
    this.measure();
    this.#say(view.place);
  }

  /** Called whenever a tile came or went. */
  changed() {
    const { pending, partial, kept } = this.painter.tiles;
    this.view.element.dataset.pending = pending;
    this.view.element.dataset.ready = kept.size > 0;
    if ((pending > 0 || partial) === this.busy) return;
    this.busy = !this.busy;
    clearTimeout(this.timer);
    // What comes at once needs no word.
    this.timer = setTimeout(() => (this.busy ? this.#look() : this.#hide()), this.busy ? 250 : 400);
  }

  async #look() {
    const { tiles, stored, paintLevels } = this.painter;
    const now = await json("/api/status").catch(() => null);
    if (now && this.stamp !== undefined && now.stamp !== this.stamp) tiles.refresh();
    this.stamp = now?.stamp;
    if (!this.busy) return;
    const shown = $("#status");
    shown.classList.toggle("bad", tiles.unreachable);
    shown.classList.toggle("still", tiles.pending === 0);
    if (tiles.unreachable) this.#write("The server does not answer. Is mediagen view still running?");
    else if (!stored && this.painter.level() > paintLevels) this.#write("Zoom in to paint what is missing");
    else if (!stored) this.#write(this.#painting(now ?? {}));
    else this.#write(tiles.pending ? `${tiles.pending} tiles to come` : "This canvas is not finished");
    this.timer = setTimeout(() => this.#look(), tiles.pending ? EVERY : 2 * EVERY);
  }

  #write(text) {
    $("#status-text").textContent = text;
    $("#status").classList.add("shown");
  }

  #painting({ painting, waiting, pixels_per_second: speed }) {
    const parts = [painting ? `Painting ${painting}` : "Painting"];
    if (waiting) parts.push(`${waiting} waiting`);
    if (speed > 0) parts.push(`${compact(speed)}px/s`);
    return parts.join(" · ");
  }

  #hide() {
    $("#status").classList.remove("shown");
  }

  /** The scale bar: 1, 2 or 5 times a power of ten pixels. */
  measure() {
    const scale = 2 ** this.view.zoom;
    const most = RULER / scale;
    const ten = 10 ** Math.floor(Math.log10(most));
    const length = Math.max(1, [5, 2, 1].find((times) => times * ten <= most) * ten);
    $("#ruler").style.width = `${Math.round(length * scale)}px`;
    $("#ruler-text").textContent = `${length.toLocaleString("en-US")} px`;
    const percent = scale * 100;
    $("#percent").textContent = `${percent >= 10 ? Math.round(percent) : percent.toPrecision(2)} %`;
  }

  #point(event) {
    if (event.pointerType === "touch") return;
    const { left, top } = this.view.element.getBoundingClientRect();
    this.#say(this.view.placeAt({ x: event.clientX - left, y: event.clientY - top }));
  }

  #say({ x, y }) {
    $("#at-x").textContent = grouped(x);
    $("#at-y").textContent = grouped(y);
  }
}
