// Small things every page uses: elements, icons, short messages, numbers in words.

export const $ = (selector, within = document) => within.querySelector(selector);

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties, attributes (in `attributes`) and children. */
export function el(tag, { attributes = {}, dataset = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** One of the page's symbols, as `<symbol id="i-NAME">` draws it. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** `act` once, `wait` milliseconds after the last call. */
export function debounced(act, wait) {
  let timer = 0;
  return (...words) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...words), wait);
  };
}

/** `act` at most every `wait` milliseconds, and once more after the last call. */
export function throttled(act, wait) {
  let timer = 0;
  let last = -Infinity;
  return (...words) => {
    clearTimeout(timer);
    const now = performance.now();
    timer = setTimeout(
      () => {
        last = performance.now();
        act(...words);
      },
      Math.max(0, last + wait - now),
    );
  };
}

let fading = 0;

/** A short message at the bottom, read out by screen readers. */
export function toast(text, { bad = false } = {}) {
  const shown = $("#toast");
  shown.textContent = text;
  shown.classList.toggle("bad", bad);
  shown.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => shown.classList.remove("shown"), bad ? 6000 : 2600);
}

/** 12,345,678 -> "12.3 M"; small numbers as they are. */
export function compact(value) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${(value / size).toPrecision(3)} ${letter}`;
  }
  return value.toPrecision(3).replace(/\.?0+$/, "");
}

export const grouped = (value) => value.toLocaleString("en-US");

/** Puts a text on the clipboard; where that is not allowed, shows it to be copied by hand. */
export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    toast(said);
  } catch {
    const dialog = $("#copying");
    $("textarea", dialog).value = text;
    dialog.showModal();
    $("textarea", dialog).select();
  }
}

/** Opens a dialog whose keys matter more than its first button. */
export function open(dialog) {
  dialog.showModal();
  dialog.focus();
}

/** Buttons with `data-close` close the dialog around them; a click beside a dialog closes it, too. */
export function wireDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
  }
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.addEventListener("click", () => dispatchEvent(new CustomEvent("toggletheme")));
  }
}
