// Walking with the arrow keys: the map moves while a key is down, starts and stops gently, and keeps within its bounds.

import * as L from "/leaflet/leaflet-src.esm.js";
import { calm } from "./dom.js";

const SPEED = 700; // screen pixels a second; with shift FAST times that
const FAST = 4;
const HALF = 50; // milliseconds in which half of a change of speed is done
const STILL = 12; // pixels a second
const STEP = 140; // screen pixels of a key press where motion is not wanted

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Walk {
  constructor(view) {
    this.view = view;
    this.down = new Set();
    this.speed = { x: 0, y: 0 };
    this.rest = { x: 0, y: 0 };
    this.frame = 0;
    addEventListener("keyup", (event) => {
      this.down.delete(event.key);
      if (event.key === "Shift") this.fast = false;
    });
    addEventListener("blur", () => this.down.clear());
    view.map.on("dragstart zoomstart rebase", () => this.down.clear());
  }

  /** A key was pressed, or repeats. Returns whether it was one of the arrows. */
  press({ key, shiftKey }) {
    const direction = DIRECTIONS[key];
    if (!direction) return false;
    this.fast = shiftKey;
    if (calm()) this.view.panBy(...direction.map((way) => way * STEP * (shiftKey ? FAST : 1)));
    else if (!this.down.has(key)) this.#begin(key);
    return true;
  }

  #begin(key) {
    this.down.add(key);
    if (this.frame) return;
    this.view.glide.stop();
    this.view.map._stop();
    this.view.map.fire("movestart");
    this.then = performance.now();
    this.frame = requestAnimationFrame((now) => this.#step(now));
  }

  #step(now) {
    const { map } = this.view;
    const passed = Math.min(100, Math.max(1, now - this.then));
    this.then = now;
    const wanted = [...this.down].reduce(([x, y], key) => [x + DIRECTIONS[key][0], y + DIRECTIONS[key][1]], [0, 0]);
    const most = SPEED * (this.fast ? FAST : 1);
    const share = 1 - 2 ** (-passed / HALF);
    const offset = L.point(0, 0);
    ["x", "y"].forEach((axis, k) => {
      this.speed[axis] += (wanted[k] * most - this.speed[axis]) * share;
      // Leaflet's pane stands on whole pixels: what is left over goes into the next frame.
      this.rest[axis] += (this.speed[axis] * passed) / 1000;
      offset[axis] = Math.trunc(this.rest[axis]);
      this.rest[axis] -= offset[axis];
    });
    const allowed = map._limitOffset(offset);
    if (allowed.x || allowed.y) {
      map._rawPanBy(allowed);
      map.fire("move");
    }
    if (this.down.size || Math.hypot(this.speed.x, this.speed.y) > STILL) {
      this.frame = requestAnimationFrame((next) => this.#step(next));
    } else {
      this.frame = 0;
      map.fire("moveend");
    }
  }
}
