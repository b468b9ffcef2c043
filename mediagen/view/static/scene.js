// What is painted: seed, styles, places of new structure. It travels with every request, and can be taken back.

import { packed } from "./api.js";

export const MOST = 64; // centres, and regions
const LONGEST = 12 * 1024; // characters of a scene in an address

export class Scene extends EventTarget {
  constructor(defaults) {
    super();
    this.defaults = defaults;
    this.now = structuredClone(defaults);
    this.past = [];
  }

  /** What differs from the defaults, for the address bar. */
  get changes() {
    if (!this.defaults) return {};
    const entries = Object.entries(this.now).filter(([key, value]) => !same(value, this.defaults[key]));
    return Object.fromEntries(entries);
  }

  /** As it travels in `?scene=`; empty for the defaults. */
  get query() {
    return this.defaults && Object.keys(this.changes).length ? packed(this.now) : "";
  }

  get canUndo() {
    return this.past.length > 0;
  }

  /** Changes some of the values. `look`: "same" when most of the picture stays. Returns whether it was done. */
  change(values, { look = "new", undoable = true } = {}) {
    const next = { ...this.now, ...values };
    if (same(next, this.now)) return true;
    if ((next.centres?.length ?? 0) > MOST || next.resample.length > MOST || packed(next).length > LONGEST) return false;
    if (undoable) this.past.push(this.now);
    this.now = next;
    this.dispatchEvent(new CustomEvent("change", { detail: { look } }));
    return true;
  }

  undo() {
    const before = this.past.pop();
    if (!before) return;
    const look = same({ ...before, resample: 0 }, { ...this.now, resample: 0 }) ? "same" : "new";
    this.now = before;
    this.dispatchEvent(new CustomEvent("change", { detail: { look } }));
  }

  reset() {
    this.change(structuredClone(this.defaults));
  }
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** A seed that is easy to say. */
export const surprise = (not) => {
  const seed = Math.floor(Math.random() * 9999) + 1;
  return seed === not ? seed + 1 : seed;
};
