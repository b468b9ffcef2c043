// Draws the tiles on one canvas: tile edges fall on whole screen pixels, so there are no hairlines at any zoom.
//
// From below: void, paper where the plane is unpainted, what an earlier scene showed there, coarser and finer tiles of this
// scene, and the tiles of the level that fits. Nothing blinks: whatever is known of a place is shown until better comes.

import { calm, throttled } from "./dom.js";
import { floorDiv } from "./numbers.js";
import { Tiles } from "./tiles.js";

const FADE = 220; // milliseconds in which a tile appears
const GHOST = 0.45; // how strongly what an earlier scene showed is still seen
const COARSER = 7; // levels up to look for something to show meanwhile
const FINER = 2; // levels down
const AHEAD = 3; // of a stored canvas a tile this many levels coarser is fetched first: it comes at once
const PIXELS_FROM = 2; // from 200 % on, pixels are shown as pixels

export class Painter {
  constructor(view, scene, changed) {
    this.view = view;
    this.tile = scene.tile;
    this.levels = scene.levels;
    this.paintLevels = scene.paint_levels;
    this.stored = scene.kind === "canvas";
    this.scene = "";
    this.before = null; // the scene shown before, while this one is painted
    this.ghost = GHOST;
    this.tiles = new Tiles(scene.version, () => {
      this.draw();
      changed();
    });
    this.canvas = document.createElement("canvas");
    this.canvas.className = "picture";
    this.context = this.canvas.getContext("2d", { alpha: false });
    view.element.prepend(this.canvas);
    this.request = 0;
    this.ask = throttled(() => this.#ask(), 140);
    view.map.on("move zoom resize rebase viewreset", () => this.draw());
    view.map.on("move zoom", () => this.ask());
    view.map.on("moveend resize rebase", () => this.#ask());
    addEventListener("themechange", () => this.#colours());
    this.#colours();
  }

  /** Shows another scene. `same` tells that most of it looks as before, so what is shown is not dimmed meanwhile. */
  show(scene, { same = false } = {}) {
    if (scene === this.scene) return;
    this.tiles.forget([this.scene, scene]);
    this.before = this.scene;
    this.ghost = same ? 1 : GHOST;
    this.scene = scene;
    this.#ask();
  }

  draw() {
    this.request ||= requestAnimationFrame(() => this.#paint());
  }

  /** The level whose pixels are about as large as the screen's. */
  level() {
    const fits = Math.floor(0.25 - this.view.zoom - Math.log2(devicePixelRatio));
    return Math.min(this.levels - 1, Math.max(0, fits));
  }

  #colours() {
    const style = getComputedStyle(document.documentElement);
    const [outside, paper, dot] = ["--void", "--paper", "--dot"].map((name) => style.getPropertyValue(name));
    this.colours = { outside, paper, dot };
    this.draw();
  }

  /** The tiles of a level that touch the view grown by `margin` tiles, nearest to its middle first. */
  #inView(level, margin = 0, scene = this.scene) {
    const { view } = this;
    const span = BigInt(this.tile) << BigInt(level);
    const size = view.size;
    const corner = view.placeAt({ x: 0, y: 0 });
    // Not the pixel beyond the edge: a tile that begins there is not in view.
    const last = view.placeAt({ x: size.x - 1e-3, y: size.y - 1e-3 });
    const middle = view.place;
    const near = (at, first) => Number(at - first * span) / Number(span) - 0.5;
    const [i0, i1] = [floorDiv(corner.x, span) - BigInt(margin), floorDiv(last.x, span) + BigInt(margin)];
    const [j0, j1] = [floorDiv(corner.y, span) - BigInt(margin), floorDiv(last.y, span) + BigInt(margin)];
    const found = [];
    for (let j = j0; j <= j1; j++) {
      for (let i = i0; i <= i1; i++) {
        if (!view.clip({ x: i * span, y: j * span, width: Number(span), height: Number(span) })) continue;
        const far = Math.hypot(near(middle.x, i), near(middle.y, j));
        found.push({ key: Tiles.key(scene, level, i, j), scene, level, i, j, far });
      }
    }
    return found.sort((a, b) => a.far - b.far);
  }

  #ask() {
    const level = this.level();
    const wanted = this.#inView(level);
    if (this.stored && level + AHEAD < this.levels) {
      const blank = wanted.some(({ key }) => !this.tiles.get(key));
      if (blank) wanted.unshift(...this.#inView(level + AHEAD));
    }
    this.tiles.want(wanted);
    this.draw();
  }

  #paint() {
    this.request = 0;
    const { canvas, context, view, tiles } = this;
    const ratio = devicePixelRatio;
    const { x: width, y: height } = view.size;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
    tiles.frame += 1;
    const scale = 2 ** view.zoom * ratio;
    const corner = view.localAt({ x: 0, y: 0 });
    this.now = performance.now();
    this.moving = false;
    // Screen pixels of a local position: rounded, so that neighbours share their edge.
    this.column = (x) => Math.round((x - corner.x) * scale);
    this.row = (y) => Math.round((y - corner.y) * scale);
    context.imageSmoothingEnabled = scale < PIXELS_FROM * ratio;
    context.imageSmoothingQuality = "medium";
    const shown = this.#inView(this.level());
    const missing = shown.filter(({ key }) => this.#strength(tiles.get(key)) < 1);
    context.fillStyle = this.colours.outside;
    context.fillRect(0, 0, across, down);
    this.#paper(missing.length > 0, scale);
    if (missing.length && this.before !== null) this.#ghosts(missing);
    for (const tile of this.#meanwhile(missing, this.scene)) this.#put(tile, 1);
    for (const tile of shown) this.#put(tile, 1);
    if (!missing.length && this.before !== null) {
      tiles.forget([this.scene]);
      this.before = null;
    }
    if (this.moving) this.draw();
  }

  /** How far a tile has appeared, 0 to 1; 0 when it is not here. */
  #strength(tile) {
    if (!tile) return 0;
    if (calm()) return 1;
    return Math.min(1, (this.now - tile.born) / FADE);
  }

  #put({ key, level, i, j }, most) {
    const tile = this.tiles.get(key);
    const strength = this.#strength(tile) * most;
    if (tile && this.#strength(tile) < 1) this.moving = true;
    if (!tile?.bitmap || !strength) return;
    const span = BigInt(this.tile) << BigInt(level);
    const { x, y } = this.view.local({ x: i * span, y: j * span });
    const [left, top] = [this.column(x), this.row(y)];
    const [right, bottom] = [this.column(x + Number(span)), this.row(y + Number(span))];
    this.context.globalAlpha = strength;
    this.context.drawImage(tile.bitmap, left, top, right - left, bottom - top);
    this.context.globalAlpha = 1;
  }

  /** What an earlier scene showed at the missing tiles, dimmed as one. */
  #ghosts(missing) {
    const seen = missing.map((tile) => ({ ...tile, scene: this.before, key: Tiles.key(this.before, tile.level, tile.i, tile.j) }));
    const exact = seen.filter(({ key }) => this.tiles.get(key));
    const others = seen.filter(({ key }) => !this.tiles.get(key));
    for (const tile of [...this.#meanwhile(others, this.before), ...exact]) this.#put(tile, this.ghost);
  }

  /** Coarser and finer tiles that cover missing ones, the coarsest first, each once. */
  #meanwhile(missing, scene) {
    const found = new Map();
    const add = (level, i, j) => {
      const key = Tiles.key(scene, level, i, j);
      const here = this.tiles.get(key)?.bitmap;
      if (here) found.set(key, { key, scene, level, i, j });
      return Boolean(here);
    };
    for (const { level, i, j } of missing) {
      for (let up = 1; up <= COARSER && level + up < this.levels; up++) {
        if (add(level + up, i >> BigInt(up), j >> BigInt(up))) break;
      }
      for (let under = 1; under <= Math.min(FINER, level); under++) {
        const count = 1 << under;
        for (let k = 0; k < count * count; k++) {
          add(level - under, (i << BigInt(under)) + BigInt(k % count), (j << BigInt(under)) + BigInt(Math.floor(k / count)));
        }
      }
    }
    return [...found.values()].sort((a, b) => b.level - a.level);
  }

  /** The plane where it is not painted: paper with a lattice of faint dots that moves with it. */
  #paper(dots, scale) {
    const { context, view, canvas } = this;
    const { x, y, width, height } = view.bounds;
    const side = (low, extent, along, most, name) => {
      if (low === null || extent === null) return [0, most];
      const start = Number(low - view.origin[name]);
      return [Math.max(0, along(start)), Math.min(most, along(start + Number(extent)))];
    };
    const [left, right] = side(x, width, this.column, canvas.width, "x");
    const [top, bottom] = side(y, height, this.row, canvas.height, "y");
    if (right <= left || bottom <= top) return;
    context.fillStyle = this.colours.paper;
    context.fillRect(left, top, right - left, bottom - top);
    if (!dots) return;
    const step = 2 ** Math.ceil(Math.log2((28 * devicePixelRatio) / scale)); // in pixels of the plane
    const size = Math.max(1, Math.round(1.5 * devicePixelRatio));
    const from = view.localAt({ x: 0, y: 0 });
    const first = (at, name) => {
      const every = BigInt(Math.max(1, step));
      const whole = view.origin[name] + BigInt(Math.floor(at));
      return Number(floorDiv(whole, every) * every - view.origin[name]);
    };
    context.fillStyle = this.colours.dot;
    for (let v = first(from.y, "y"); this.row(v) < bottom; v += step) {
      if (this.row(v) < top) continue;
      for (let h = first(from.x, "x"); this.column(h) < right; h += step) {
        if (this.column(h) >= left) context.fillRect(this.column(h), this.row(v), size, size);
      }
    }
  }
}
