// Smooth zooming around a point: wheel, buttons and double clicks set a goal, and every frame goes a part of the way.

import * as L from "/leaflet/leaflet-src.esm.js";
import { calm } from "./dom.js";

const HALF = 45; // milliseconds in which half of what is left is gone
const NEAR = 0.002;

export class Glide {
  constructor(view) {
    this.view = view;
    this.goal = null;
    this.frame = 0;
    const { element } = view;
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    view.map.on("dblclick", (event) => this.to(Math.round(view.zoom) + (event.originalEvent.shiftKey ? -1 : 1), event.containerPoint));
    view.map.on("dragstart", () => this.stop());
  }

  /** Zooms to `zoom` while what lies under `point` (screen pixels of the element) stays there. */
  to(zoom, point) {
    const { map } = this.view;
    const goal = Math.min(map.options.maxZoom, Math.max(map.options.minZoom, zoom));
    if (this.goal === null) {
      if (Math.abs(goal - this.view.zoom) < 1e-6) return;
      map._stop();
      // Puts Leaflet's pane back to zero: from here on `_move` keeps the exact middle, and nothing jitters.
      map._resetView(map.getCenter(), map.getZoom());
      map._moveStart(true, false);
      this.centre = this.view.centre;
      this.then = performance.now();
    }
    this.goal = goal;
    this.point = point;
    if (calm()) this.#step(Infinity);
    else if (!this.frame) this.frame = requestAnimationFrame((now) => this.#step(now));
  }

  stop() {
    if (this.goal === null) return;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.goal = null;
    this.view.map._moveEnd(true);
  }

  #wheel(event) {
    event.preventDefault();
    const unit = [1, 16, 240][event.deltaMode];
    // A pinch on a trackpad arrives as a wheel with ctrl, in much smaller steps.
    const change = (-event.deltaY * unit) / (event.ctrlKey ? 90 : 240);
    const step = Math.max(-1.5, Math.min(1.5, change));
    this.to((this.goal ?? this.view.zoom) + step, this.view.map.mouseEventToContainerPoint(event));
  }

  #step(now) {
    const { view } = this;
    const { map } = view;
    const left = this.goal - map.getZoom();
    const passed = Math.max(1, now - this.then);
    this.then = now;
    this.frame = 0;
    const arrives = Math.abs(left) < NEAR || passed > 1000;
    const zoom = arrives ? this.goal : this.goal - left * 2 ** (-passed / HALF);
    const half = view.size.divideBy(2);
    const [before, after] = [2 ** map.getZoom(), 2 ** zoom];
    const [dx, dy] = [this.point.x - half.x, this.point.y - half.y];
    this.centre.x += dx / before - dx / after;
    this.centre.y += dy / before - dy / after;
    const { x, y } = (this.centre = view.limited(this.centre, zoom));
    map._move(L.latLng(-y, x), zoom);
    if (arrives) {
      this.goal = null;
      map._moveEnd(true);
    } else {
      this.frame = requestAnimationFrame((next) => this.#step(next));
    }
  }
}
