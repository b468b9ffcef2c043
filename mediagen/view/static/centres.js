// Style centres as handles on the map: dragged with mouse or finger, moved with the arrow keys.

import * as L from "/leaflet/leaflet-src.esm.js";
import { el } from "./dom.js";
import { nearest, plain } from "./numbers.js";

const STEP = 16; // screen pixels an arrow key moves a handle; with shift 1

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** A hue per seed, so that a handle and its row in the list are seen to belong together. */
export const hue = (seed) => (((seed * 137.508) % 360) + 360) % 360;

export class Centres {
  constructor(view, scene) {
    this.view = view;
    this.scene = scene;
    this.markers = [];
    this.shown = true;
    scene.addEventListener("change", () => this.draw());
    view.map.on("rebase", () => this.draw());
    this.draw();
  }

  /** Handles are shown or hidden, so that a picture can be looked at undisturbed. */
  toggle(shown) {
    this.shown = shown;
    this.draw();
  }

  draw() {
    const active = this.markers.findIndex((marker) => marker.getElement() === document.activeElement);
    for (const marker of this.markers) marker.remove();
    this.markers = this.shown ? (this.scene.now?.centres ?? []).map((centre, number) => this.#marker(centre, number)) : [];
    if (active >= 0) this.markers[active]?.getElement().focus({ preventScroll: true });
  }

  #marker(centre, number) {
    const dot = el("span", { className: "dot" });
    dot.style.setProperty("--hue", hue(centre.seed));
    const label = el("span", { className: "label", textContent: centre.seed });
    const marker = L.marker(this.view.latLng({ x: nearest(centre.x), y: nearest(centre.y) }), {
      icon: L.divIcon({ className: "centre", html: el("span", { className: "handle" }, dot, label), iconSize: [44, 44] }),
      draggable: true,
      autoPan: true,
      keyboard: true,
    });
    marker.addTo(this.view.map);
    const element = marker.getElement();
    element.setAttribute("aria-label", `Style centre ${number + 1}, seed ${centre.seed}. Arrow keys move it, Delete removes it.`);
    element.dataset.number = number;
    marker.on("dragend", () => this.#moved(number, marker.getLatLng()));
    element.addEventListener("keydown", (event) => this.#key(event, number, marker));
    element.addEventListener("keyup", (event) => event.key in ARROWS && this.#moved(number, marker.getLatLng()));
    return marker;
  }

  #key(event, number, marker) {
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      return this.remove(number);
    }
    const direction = ARROWS[event.key];
    if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const step = (event.shiftKey ? 1 : STEP) / 2 ** this.view.zoom;
    const { lat, lng } = marker.getLatLng();
    marker.setLatLng([lat - direction[1] * step, lng + direction[0] * step]);
  }

  #moved(number, { lat, lng }) {
    const at = this.view.placeOf({ x: Math.round(lng), y: Math.round(-lat) });
    const centres = this.scene.now.centres.map((c, k) => (k === number ? { ...c, x: plain(at.x), y: plain(at.y) } : c));
    this.scene.change({ centres });
  }

  add(seed) {
    const at = this.view.place;
    const centres = [...(this.scene.now.centres ?? []), { x: plain(at.x), y: plain(at.y), seed }];
    return this.scene.change({ centres });
  }

  remove(number) {
    const centres = this.scene.now.centres.filter((_, k) => k !== number);
    if (centres.length) this.scene.change({ centres });
    return centres.length > 0;
  }
}
