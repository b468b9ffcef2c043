// What can be done with a rectangle: take it home as a picture, get the command that paints it, ask for new structure there.

import { commandAddress, download, exportAddress, json } from "./api.js";
import { $, copy, grouped, toast } from "./dom.js";
import { plain, whole } from "./numbers.js";
import { MOST, surprise } from "./scene.js";

const LARGEST = 100e6; // pixels of an export
const GAP = 12;

export class Actions {
  constructor(view, scene, rectangle, { levels, canResample }) {
    Object.assign(this, { view, scene, rectangle });
    this.card = $("#actions");
    this.fields = ["x", "y", "width", "height"].map((name) => $(`[name=${name}]`, this.card));
    $("#resample").hidden = !canResample;
    this.#sizes(levels);
    rectangle.addEventListener("change", () => this.#show());
    rectangle.addEventListener("place", () => this.#place());
    for (const field of this.fields) field.addEventListener("change", () => this.#typed());
    $("#scaled").addEventListener("change", () => this.#show());
    $("#save-png").addEventListener("click", () => this.save("png"));
    $("#save-jpg").addEventListener("click", () => this.save("jpg"));
    $("#copy-command").addEventListener("click", () => this.command());
    $("#resample").addEventListener("click", () => this.resample());
    $("#deselect").addEventListener("click", () => rectangle.clear());
  }

  get level() {
    return Number($("#scaled").value);
  }

  save(format) {
    download(exportAddress(this.rectangle.window, this.level, format, this.scene.query));
    toast(this.scene.defaults ? "Painting the picture; the download starts when it is there" : "The download starts");
  }

  async command() {
    try {
      const { command } = await json(commandAddress(this.rectangle.window, this.scene.query));
      await copy(command, "Command copied");
    } catch (error) {
      toast(error.message, { bad: true });
    }
  }

  resample() {
    const { x, y, width, height } = this.rectangle.window;
    const region = { x: plain(x), y: plain(y), width, height, seed: surprise(this.scene.now.seed) };
    const done = this.scene.change({ resample: [...this.scene.now.resample, region] }, { look: "same" });
    if (!done) return toast(`There is room for ${MOST} places at most`, { bad: true });
    toast("New structure is painted here");
  }

  #sizes(levels) {
    const names = ["full size", "1/2 size", "1/4 size", "1/8 size", "1/16 size"].slice(0, levels);
    $("#scaled").replaceChildren(...names.map((name, level) => new Option(name, level)));
  }

  #typed() {
    const [x, y, width, height] = this.fields.map((field) => whole(field.value));
    if ([x, y, width, height].includes(null) || width < 1n || height < 1n) return this.#show();
    this.rectangle.set({ x, y, width: Number(width), height: Number(height) });
  }

  #show() {
    const { window } = this.rectangle;
    this.card.hidden = !window;
    if (!window) return;
    for (const field of this.fields) field.value = String(window[field.name]);
    const side = (length) => Math.max(1, Math.ceil(length / 2 ** this.level));
    const [width, height] = [side(window.width), side(window.height)];
    const large = width * height > LARGEST;
    for (const button of [$("#save-png"), $("#save-jpg")]) {
      button.disabled = large;
      button.title = large ? "More than 100 million pixels: choose a smaller size, or copy the command" : "";
    }
    $("#pixels").textContent = large ? "too large for a picture" : `${grouped(width)} × ${grouped(height)} px`;
    this.#place();
  }

  /** Below the rectangle where there is room, else above it, else inside. */
  #place() {
    const { card, view, rectangle } = this;
    if (card.hidden) return;
    const [w, h] = [card.offsetWidth, card.offsetHeight];
    const { x: width, y: height } = view.size;
    const { left, top, right, bottom } = rectangle.onScreen();
    const at = Math.max(GAP, Math.min(width - w - GAP, (Math.max(0, left) + Math.min(width, right)) / 2 - w / 2));
    const floor = height - 64;
    let down = bottom + GAP;
    if (down + h > floor) down = top - GAP - h;
    if (down < GAP) down = Math.min(floor - h, Math.max(GAP, bottom - GAP - h));
    card.style.setProperty("--left", `${Math.round(at)}px`);
    card.style.setProperty("--top", `${Math.round(Math.min(floor - h, down))}px`);
  }
}
