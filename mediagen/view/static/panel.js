// The panel of the plane: seed, styles, places of new structure. Changes redraw once the hand rests.

import { download, packed, styleMapAddress } from "./api.js";
import { hue } from "./centres.js";
import { $, debounced, el, icon, toast } from "./dom.js";
import { grouped, nearest, plain } from "./numbers.js";
import { MOST, surprise } from "./scene.js";

const REST = 350; // milliseconds
const BLEND = 511; // pixels over which styles around places of one's own blend
const EVERY = 4096;
const WIDEST = 16384;

export class Panel {
  constructor(view, scene, centres, { styles, canResample }) {
    Object.assign(this, { view, scene, centres });
    this.later = debounced((values) => this.change(values), REST);
    $("#style-section").hidden = !styles;
    $("#structure-section").hidden = !canResample;
    this.#wireSeed();
    this.#wireStyles();
    $("#undo").addEventListener("click", () => scene.undo());
    $("#reset").addEventListener("click", () => scene.reset());
    scene.addEventListener("change", () => this.show());
    this.show();
  }

  change(values) {
    if (!this.scene.change(values)) toast(`There is room for ${MOST} places at most`, { bad: true });
  }

  surprise() {
    const seed = surprise(this.scene.now.seed);
    this.change({ seed });
    toast(`Seed ${seed}`);
  }

  /** Which of the three ways styles are laid out. */
  get mode() {
    const { centres, style_every: every } = this.scene.now;
    return centres ? "places" : every === 0 ? "one" : "stretches";
  }

  setMode(mode) {
    const every = this.scene.defaults.style_every || EVERY;
    if (mode === this.mode) return;
    if (mode === "one") this.change({ centres: null, style_every: 0, blend: 0 });
    if (mode === "stretches") this.change({ centres: null, style_every: every, blend: Math.floor(every / 4) });
    if (mode === "places") this.change({ centres: this.#first(), blend: BLEND });
  }

  /** Three places in what is seen, so that there is something to drag. */
  #first() {
    const { x, y } = this.view.size;
    const panel = $("#panel").getBoundingClientRect();
    const free = panel.width < x / 2 ? panel.left : x; // on a small screen the panel covers the lower half
    return [0.2, 0.5, 0.8].map((share, k) => {
      const at = this.view.placeAt({ x: free * share, y: Math.min(y / 2, panel.top > y / 3 ? panel.top / 2 : y) });
      return { x: plain(at.x), y: plain(at.y), seed: Number(this.scene.now.seed) + k + 1 };
    });
  }

  #wireSeed() {
    $("#seed").addEventListener("input", ({ target }) => {
      const seed = /^-?\d{1,15}$/.test(target.value.trim()) ? Number(target.value) : null;
      target.setAttribute("aria-invalid", String(seed === null));
      if (seed !== null) this.later({ seed });
    });
    $("#seed").addEventListener("blur", () => this.show());
    $("#surprise").addEventListener("click", () => this.surprise());
  }

  #wireStyles() {
    for (const radio of document.querySelectorAll("[name=mode]")) {
      radio.addEventListener("change", () => this.setMode(radio.value));
    }
    $("#every").addEventListener("input", ({ target }) => {
      const every = 2 ** Number(target.value);
      $("#every-value").textContent = `${grouped(every)} px`;
      this.later({ style_every: every, blend: Math.min(this.scene.now.blend, every) });
    });
    $("#blend").addEventListener("input", ({ target }) => {
      const blend = Number(target.value);
      $("#blend-value").textContent = `${grouped(blend)} px`;
      this.later({ blend });
    });
    $("#add-centre").addEventListener("click", () => {
      if (!this.centres.add(surprise(this.scene.now.seed))) toast(`There is room for ${MOST} places at most`, { bad: true });
    });
    $("#save-map").addEventListener("click", () => download(styleMapAddress(packed(this.scene.now))));
  }

  show() {
    const { now } = this.scene;
    if (document.activeElement !== $("#seed")) $("#seed").value = now.seed;
    $("#seed").setAttribute("aria-invalid", "false");
    $("#told-seed").textContent = now.seed;
    const { mode } = this;
    $(`[name=mode][value=${mode}]`).checked = true;
    for (const part of document.querySelectorAll("[data-mode]")) part.hidden = !part.dataset.mode.includes(mode);
    const every = now.style_every || EVERY;
    $("#every").value = Math.log2(Math.min(WIDEST, every));
    $("#every-value").textContent = `${grouped(every)} px`;
    $("#blend").max = mode === "stretches" ? every : 2047;
    $("#blend").value = now.blend;
    $("#blend-value").textContent = `${grouped(now.blend)} px`;
    this.#list($("#centres"), (now.centres ?? []).map((centre, k) => this.#centreRow(centre, k)));
    this.#list($("#regions"), now.resample.map((region, k) => this.#regionRow(region, k)));
    $("#no-regions").hidden = now.resample.length > 0;
    $("#undo").disabled = !this.scene.canUndo;
    $("#reset").disabled = !Object.keys(this.scene.changes).length;
  }

  /** New rows in place of the old ones; the field or button that had the focus keeps it. */
  #list(list, rows) {
    const active = [...list.querySelectorAll("input, button")].indexOf(document.activeElement);
    list.replaceChildren(...rows);
    if (active >= 0) [...list.querySelectorAll("input, button")].at(Math.min(active, rows.length * 3 - 1))?.focus();
  }

  #centreRow(centre, k) {
    const dot = el("span", { className: "dot" });
    dot.style.setProperty("--hue", hue(centre.seed));
    const where = `${grouped(nearest(centre.x))}, ${grouped(nearest(centre.y))}`;
    const go = el("button", { className: "where", type: "button", title: "Go there" }, where);
    go.addEventListener("click", () => this.view.goTo({ x: nearest(centre.x), y: nearest(centre.y) }));
    const seed = el("input", { value: centre.seed, inputMode: "numeric", attributes: { "aria-label": `Seed of style ${k + 1}` } });
    seed.addEventListener("change", () => {
      const value = /^-?\d{1,15}$/.test(seed.value.trim()) ? Number(seed.value) : centre.seed;
      this.change({ centres: this.scene.now.centres.map((c, n) => (n === k ? { ...c, seed: value } : c)) });
    });
    const away = this.#removal(`Remove style ${k + 1}`, () => {
      if (!this.centres.remove(k)) toast("One place has to stay");
    });
    return el("li", {}, dot, seed, go, away);
  }

  #regionRow(region, k) {
    const what = `${region.width.toLocaleString("en-US")} × ${region.height.toLocaleString("en-US")}`;
    const where = `${grouped(BigInt(region.x))}, ${grouped(BigInt(region.y))}`;
    const go = el("button", { className: "where", type: "button", title: "Go there" }, `${what} at ${where}`);
    go.addEventListener("click", () => {
      const at = { x: BigInt(region.x) + BigInt(region.width >> 1), y: BigInt(region.y) + BigInt(region.height >> 1) };
      this.view.goTo(at);
    });
    const again = el("button", { className: "bare", type: "button", title: "Another structure here" }, icon("shuffle"));
    again.setAttribute("aria-label", `Another structure in region ${k + 1}`);
    again.addEventListener("click", () => {
      const seed = surprise(region.seed);
      this.#regions(this.scene.now.resample.map((r, n) => (n === k ? { ...r, seed } : r)));
    });
    const away = this.#removal(`Remove region ${k + 1}`, () => this.#regions(this.scene.now.resample.filter((_, n) => n !== k)));
    return el("li", {}, go, again, away);
  }

  #regions(resample) {
    this.scene.change({ resample }, { look: "same" });
  }

  #removal(label, act) {
    const button = el("button", { className: "bare", type: "button", title: label, attributes: { "aria-label": label } }, icon("close"));
    button.addEventListener("click", act);
    return button;
  }
}
