// Tiles: asked for nearest first, a few at a time; what left the view is aborted; what came is kept while there is room.

import { tileAddress } from "./api.js";

const AT_ONCE = 5; // a browser opens six connections to one host; one stays free for everything else
const KEPT = 400; // bitmaps of 256 KiB

export class Tiles {
  /** `changed()` is called whenever a tile came or the number of those that are missing changed. */
  constructor(version, changed) {
    this.version = version;
    this.changed = changed;
    this.kept = new Map(); // key -> {bitmap, born, used, partial, old}
    this.flying = new Map(); // key -> AbortController
    this.list = []; // what is in view
    this.wanted = []; // what of it is missing
    this.resting = 0; // do not ask before this time
    this.failures = 0;
    this.frame = 0;
  }

  static key(scene, level, i, j) {
    return `${scene}/${level}/${i}/${j}`;
  }

  /** How many tiles of the view are still missing. */
  get pending() {
    return this.wanted.length;
  }

  get unreachable() {
    return this.failures > 2;
  }

  /** A tile that is here, or undefined. */
  get(key) {
    const tile = this.kept.get(key);
    if (tile) tile.used = this.frame;
    return tile;
  }

  /** The tiles of the view that are to be had, {key, scene, level, i, j}, the most urgent one first. */
  want(list) {
    this.list = list;
    this.wanted = list.filter(({ key }) => {
      const tile = this.kept.get(key);
      return !tile || tile.old;
    });
    const keys = new Set(this.wanted.map(({ key }) => key));
    for (const [key, controller] of this.flying) {
      if (!keys.has(key)) {
        this.flying.delete(key);
        controller.abort();
      }
    }
    this.#pump();
    this.changed();
  }

  /** Whether a tile in view shows only what is painted so far. */
  get partial() {
    return this.list.some(({ key }) => this.kept.get(key)?.partial);
  }

  /** There is more to be seen: tiles that showed only a part are asked for again. */
  refresh() {
    for (const tile of this.kept.values()) tile.old = tile.partial;
    this.want(this.list);
  }

  /** Forgets whatever is not of the scenes named. */
  forget(scenes) {
    for (const [key, tile] of this.kept) {
      if (!scenes.includes(key.slice(0, key.indexOf("/")))) this.#drop(key, tile);
    }
  }

  #pump() {
    if (performance.now() < this.resting) return;
    for (const tile of this.wanted) {
      if (this.flying.size >= AT_ONCE) return;
      if (!this.flying.has(tile.key)) this.#fetch(tile);
    }
  }

  async #fetch(tile) {
    const controller = new AbortController();
    this.flying.set(tile.key, controller);
    try {
      const answer = await fetch(tileAddress(tile, this.version), { signal: controller.signal });
      if (answer.status === 503) return this.#rest(1000 * (Number(answer.headers.get("retry-after")) || 1));
      // Outside the plane there is nothing, and there never will be.
      const bitmap = answer.ok ? await createImageBitmap(await answer.blob()) : null;
      if (!answer.ok && answer.status !== 404) return this.#rest(2000);
      this.failures = 0;
      if (controller.signal.aborted) return bitmap?.close();
      this.#keep(tile, bitmap, answer.headers.has("x-mediagen-partial"));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.failures += 1;
      this.#rest(Math.min(8000, 500 * 2 ** this.failures));
    } finally {
      if (this.flying.get(tile.key) === controller) this.flying.delete(tile.key);
      this.#pump();
      this.changed();
    }
  }

  #keep({ key: place }, bitmap, partial) {
    const before = this.kept.get(place);
    // What grows while it is looked at does not fade in again.
    this.kept.set(place, { bitmap, born: before?.born ?? performance.now(), used: this.frame, partial, old: false });
    before?.bitmap?.close();
    this.wanted = this.wanted.filter(({ key }) => key !== place);
    if (this.kept.size > KEPT) this.#thin();
  }

  /** Drops what was seen longest ago, but nothing that is in view. */
  #thin() {
    const old = [...this.kept].filter(([, tile]) => tile.used < this.frame).sort(([, a], [, b]) => a.used - b.used);
    for (const [key, tile] of old.slice(0, Math.max(0, this.kept.size - KEPT * 0.9))) this.#drop(key, tile);
  }

  #drop(key, tile) {
    this.kept.delete(key);
    tile.bitmap?.close();
  }

  #rest(milliseconds) {
    this.resting = performance.now() + milliseconds;
    setTimeout(() => this.#pump(), milliseconds + 1);
  }
}
