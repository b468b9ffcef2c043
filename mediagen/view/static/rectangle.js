// The rectangle tool: drawn with mouse, finger or shift-drag, moved and resized by its handles or by keys.

import { $, el } from "./dom.js";

const EDGES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const SMALLEST = 8; // screen pixels below which a drag was a click
const STEP = 16; // screen pixels an arrow key goes; with alt 1
const OUTSIDE = 60; // screen pixels beyond the view to which a large rectangle is drawn
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Rectangle extends EventTarget {
  constructor(view) {
    super();
    this.view = view;
    this.window = null; // {x, y: BigInt, width, height: numbers}
    this.armed = false;
    this.box = el("div", { className: "selection", hidden: true, tabIndex: 0, attributes: { role: "group", "aria-label": LABEL } });
    this.box.append(...EDGES.map((edge) => el("i", { className: `grip ${edge}`, dataset: { edge } })));
    view.element.append(this.box);
    // Leaflet must not take a drag of ours for one of its own.
    for (const name of ["mousedown", "touchstart", "dblclick"]) this.box.addEventListener(name, (event) => event.stopPropagation());
    this.box.addEventListener("pointerdown", (event) => this.#grab(event));
    this.box.addEventListener("keydown", (event) => this.#key(event));
    view.element.addEventListener("pointerdown", (event) => this.#draw(event), { capture: true });
    view.map.on("move zoom resize rebase viewreset", () => this.place());
  }

  /** Makes the next drag draw a rectangle, or no longer. */
  arm(armed = !this.armed) {
    this.armed = armed;
    this.view.element.classList.toggle("drawing", armed);
    this.view.map.dragging[armed ? "disable" : "enable"]();
    this.#tell();
  }

  /** A rectangle in the middle of the view, to begin with by keyboard. */
  begin() {
    const { x: width, y: height } = this.view.size;
    this.#between({ x: width * 0.3, y: height * 0.3 }, { x: width * 0.7, y: height * 0.7 });
    this.box.focus({ preventScroll: true });
  }

  set(window) {
    this.window = window && this.view.clip(window);
    this.place();
    this.#tell();
  }

  clear() {
    this.arm(false);
    this.set(null);
  }

  /** Puts the box where the window is seen. */
  place() {
    const { box, view, window } = this;
    box.hidden = !window;
    if (!window) return;
    const { left, top, right, bottom } = this.onScreen();
    const [w, h] = [view.size.x + OUTSIDE, view.size.y + OUTSIDE];
    const cut = (value, most) => Math.max(-OUTSIDE, Math.min(most, value));
    Object.assign(box.style, {
      left: `${cut(left, w)}px`,
      top: `${cut(top, h)}px`,
      width: `${cut(right, w) - cut(left, w)}px`,
      height: `${cut(bottom, h) - cut(top, h)}px`,
    });
    this.dispatchEvent(new Event("place"));
  }

  /** The window's sides in screen pixels of the view. */
  onScreen() {
    const { x, y, width, height } = this.window;
    const scale = 2 ** this.view.zoom;
    const { x: left, y: top } = this.view.point({ x, y });
    return { left, top, right: left + width * scale, bottom: top + height * scale };
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  /** The window between two points of the screen. */
  #between(a, b) {
    const from = this.view.placeAt({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y) });
    const to = this.view.placeAt({ x: Math.max(a.x, b.x), y: Math.max(a.y, b.y) });
    this.set({
      x: from.x,
      y: from.y,
      width: Math.max(1, Number(to.x - from.x)),
      height: Math.max(1, Number(to.y - from.y)),
    });
  }

  #draw(event) {
    const ours = event.target.closest(".selection, .leaflet-marker-icon");
    if (ours || event.button !== 0 || !event.isPrimary || !(this.armed || event.shiftKey)) return;
    event.stopPropagation();
    const from = this.#at(event);
    const old = this.window;
    const large = (to) => Math.hypot(to.x - from.x, to.y - from.y) >= SMALLEST;
    this.#follow(event, (to) => large(to) && this.#between(from, to), (to) => {
      if (!large(to)) this.set(old);
      else {
        this.arm(false);
        this.box.focus({ preventScroll: true });
      }
    });
  }

  #grab(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    event.stopPropagation();
    const edge = event.target.dataset.edge ?? "";
    const from = this.#at(event);
    const start = this.onScreen();
    this.#follow(event, (to) => {
      const [dx, dy] = [to.x - from.x, to.y - from.y];
      const whole = edge === "";
      const left = start.left + (whole || edge.includes("w") ? dx : 0);
      const right = start.right + (whole || edge.includes("e") ? dx : 0);
      const top = start.top + (whole || edge.startsWith("n") ? dy : 0);
      const bottom = start.bottom + (whole || edge.startsWith("s") ? dy : 0);
      this.#between({ x: left, y: top }, { x: right, y: bottom });
    });
  }

  /** Follows a pointer until it is let go. */
  #follow(event, move, done = () => {}) {
    const { element } = this.view;
    element.setPointerCapture(event.pointerId);
    const stop = new AbortController();
    const { signal } = stop;
    const same = (other) => other.pointerId === event.pointerId;
    element.addEventListener("pointermove", (next) => same(next) && move(this.#at(next)), { signal });
    const end = (last) => {
      if (!same(last)) return;
      stop.abort();
      done(this.#at(last));
    };
    element.addEventListener("pointerup", end, { signal });
    element.addEventListener("pointercancel", end, { signal });
  }

  #at(event) {
    const { left, top } = this.view.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      $("#actions button")?.focus();
    }
    const direction = ARROWS[event.key];
    if (!direction || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const step = Math.max(1, Math.round((event.altKey ? 1 : STEP) / 2 ** this.view.zoom));
    const [dx, dy] = [direction[0] * step, direction[1] * step];
    const { x, y, width, height } = this.window;
    if (event.shiftKey) this.set({ x, y, width: Math.max(1, width + dx), height: Math.max(1, height + dy) });
    else this.set({ x: x + BigInt(dx), y: y + BigInt(dy), width, height });
  }
}

const LABEL = "Selected rectangle. Arrow keys move it, with Shift they resize it, Enter goes to its actions, Escape removes it.";
