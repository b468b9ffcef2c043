// The map: Leaflet's panes, dragging, pinching and markers; smooth wheel zoom, bounds and exact positions are ours.
//
// Leaflet computes with doubles and moves panes by CSS, which is exact near zero only. So the map has a local origin, a
// BigInt position of the plane near the place viewed, and Leaflet sees small numbers: lng = x - origin, lat = -(y - origin).

import * as L from "/leaflet/leaflet-src.esm.js";
import { calm } from "./dom.js";
import { Glide } from "./glide.js";

const FARTHEST = 2 ** 20; // screen pixels from the local origin after which it is moved
const MARGIN = 72; // screen pixels by which a bounded axis may be seen from outside
const DEEPEST = 5; // zoom 5: one pixel of the plane is 32 pixels of the screen

export class View {
  constructor(element, scene) {
    this.element = element;
    this.bounds = scene.bounds;
    this.start = scene.start;
    this.origin = { x: scene.start.x, y: scene.start.y };
    this.map = new L.Map(element, {
      crs: L.CRS.Simple,
      zoomSnap: 0,
      zoomAnimation: false,
      fadeAnimation: false,
      markerZoomAnimation: false,
      scrollWheelZoom: false,
      doubleClickZoom: false,
      boxZoom: false,
      keyboard: false,
      zoomControl: false,
      attributionControl: false,
      bounceAtZoomLimits: false,
      inertia: !calm(),
      inertiaDeceleration: 2600,
      maxZoom: DEEPEST,
    });
    this.levels = scene.levels;
    this.map.options.minZoom = this.#smallest();
    this.glide = new Glide(this);
    this.#keepWithin();
    this.map.on("moveend", () => this.#settle());
    this.map.on("resize", () => (this.map.options.minZoom = this.#smallest()));
  }

  get zoom() {
    return this.map.getZoom();
  }

  get size() {
    return this.map.getSize();
  }

  /** The middle of the view in local pixels, {x, y}. */
  get centre() {
    const { lat, lng } = this.map.getCenter();
    return { x: lng, y: -lat };
  }

  /** The middle of the view on the plane: whole pixels as BigInt, and fractions. */
  get place() {
    return this.placeOf(this.centre);
  }

  placeOf({ x, y }) {
    const [wx, wy] = [Math.floor(x), Math.floor(y)];
    return { x: this.origin.x + BigInt(wx), y: this.origin.y + BigInt(wy), fx: x - wx, fy: y - wy };
  }

  /** The place under a point of the element, in screen pixels. */
  placeAt(point) {
    return this.placeOf(this.localAt(point));
  }

  localAt({ x, y }) {
    const [scale, half, c] = [2 ** this.zoom, this.size.divideBy(2), this.centre];
    return { x: c.x + (x - half.x) / scale, y: c.y + (y - half.y) / scale };
  }

  local(place) {
    return { x: Number(BigInt(place.x) - this.origin.x), y: Number(BigInt(place.y) - this.origin.y) };
  }

  latLng(place) {
    const { x, y } = this.local(place);
    return L.latLng(-(y + (place.fy ?? 0)), x + (place.fx ?? 0));
  }

  /** Where a place lies in the element, in screen pixels. */
  point(place) {
    const [scale, half, c, { x, y }] = [2 ** this.zoom, this.size.divideBy(2), this.centre, this.local(place)];
    return { x: (x - c.x) * scale + half.x, y: (y - c.y) * scale + half.y };
  }

  /** The whole pixels in view as a window {x, y, width, height}, within the bounds. */
  visible() {
    const from = this.placeAt({ x: 0, y: 0 });
    const to = this.placeAt(this.size);
    return this.clip({ x: from.x, y: from.y, width: Number(to.x - from.x) + 1, height: Number(to.y - from.y) + 1 });
  }

  /** A window cut to the bounds; null when nothing of it is left. */
  clip(window) {
    const cut = (start, length, low, extent) => {
      const end = start + BigInt(length);
      const first = low === null || start > low ? start : low;
      const last = low === null || extent === null || end < low + extent ? end : low + extent;
      return [first, Number(last - first)];
    };
    const { x, y, width, height } = this.bounds;
    const [left, across] = cut(window.x, window.width, x, width);
    const [top, down] = cut(window.y, window.height, y, height);
    return across > 0 && down > 0 ? { x: left, y: top, width: across, height: down } : null;
  }

  /** Goes to a place at once. */
  goTo(place, zoom = this.zoom) {
    this.glide.stop();
    this.origin = { x: place.x, y: place.y };
    const limited = Math.min(DEEPEST, Math.max(this.map.options.minZoom, zoom));
    const { x, y } = this.limited({ x: place.fx ?? 0, y: place.fy ?? 0 }, limited);
    this.map.setView(L.latLng(-y, x), limited, { animate: false });
    this.map.fire("rebase");
  }

  home() {
    this.goTo(this.start, this.start.zoom);
  }

  /** All of a bounded plane, or the start where there is no end. */
  fit() {
    const { x, y, width, height } = this.bounds;
    const zoom = Math.min(0, this.#fitting());
    const at = this.place;
    const middle = (low, extent, otherwise) => (low === null || extent === null ? otherwise : low + extent / 2n);
    this.goTo({ x: middle(x, width, at.x), y: middle(y, height, this.start.y) }, width === null ? this.start.zoom : zoom);
  }

  panBy(x, y) {
    this.glide.stop();
    const offset = this.map._limitOffset(L.point(x, y));
    if (offset.x || offset.y) this.map.panBy(offset, { animate: !calm(), duration: 0.18 });
  }

  zoomBy(steps) {
    const goal = this.glide.goal ?? this.zoom;
    const next = steps > 0 ? Math.floor(goal + 1e-3) + steps : Math.ceil(goal - 1e-3) + steps;
    this.glide.to(next, this.size.divideBy(2));
  }

  /** A middle of the view (local pixels) that keeps a bounded axis in sight at that zoom. */
  limited({ x, y }, zoom) {
    const scale = 2 ** zoom;
    const along = (at, low, extent, origin, view) => {
      if (low === null || extent === null) return at;
      const start = Number(low - origin);
      const length = Number(extent);
      const over = length * scale - view;
      if (over <= 0) return start + length / 2;
      const half = (view / 2 - Math.min(MARGIN, over)) / scale;
      return Math.min(start + length - half, Math.max(start + half, at));
    };
    const b = this.bounds;
    return {
      x: along(x, b.x, b.width, this.origin.x, this.size.x),
      y: along(y, b.y, b.height, this.origin.y, this.size.y),
    };
  }

  #fitting() {
    const { width, height } = this.bounds;
    const fits = [[width, this.size.x], [height, this.size.y]].map(([extent, view]) =>
      extent === null ? 0 : Math.log2(Math.max(64, view - 2 * MARGIN) / Number(extent)),
    );
    return Math.min(...fits);
  }

  #smallest() {
    return this.bounds.width === null || this.bounds.height === null ? 1 - this.levels : Math.min(-0.5, this.#fitting());
  }

  /** Dragging and its inertia stop at the bounds: Leaflet's own `maxBounds` knows no half-open plane. */
  #keepWithin() {
    const { map } = this;
    map._limitOffset = (offset) => {
      const [scale, c] = [2 ** this.zoom, this.centre];
      const to = this.limited({ x: c.x + offset.x / scale, y: c.y + offset.y / scale }, this.zoom);
      return L.point((to.x - c.x) * scale, (to.y - c.y) * scale).round();
    };
    const draggable = map.dragging._draggable;
    let began = null;
    map.on("dragstart", () => (began = this.centre));
    draggable.on("predrag", () => {
      const scale = 2 ** this.zoom;
      const moved = draggable._newPos.subtract(draggable._startPos);
      const to = this.limited({ x: began.x - moved.x / scale, y: began.y - moved.y / scale }, this.zoom);
      const allowed = L.point((began.x - to.x) * scale, (began.y - to.y) * scale).round();
      draggable._newPos = draggable._startPos.add(allowed);
    });
  }

  /** After a movement: the local origin follows, and a pinch that left the bounds is taken back. */
  #settle() {
    const { centre, zoom } = this;
    const wanted = this.limited(centre, zoom);
    const away = Math.max(Math.abs(wanted.x - centre.x), Math.abs(wanted.y - centre.y)) * 2 ** zoom;
    if (away > 1) this.map._resetView(L.latLng(-wanted.y, wanted.x), zoom);
    else if (Math.max(Math.abs(centre.x), Math.abs(centre.y)) * 2 ** zoom > FARTHEST) this.goTo(this.place, zoom);
  }
}
