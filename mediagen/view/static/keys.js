// The keyboard. Keys work wherever the focus is, except in fields and dialogs.

import { $ } from "./dom.js";
import { Walk } from "./walk.js";

export function wireKeys({ view, actions, typed }) {
  const walk = new Walk(view);
  addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input:not([type=radio]), select, textarea, dialog");
    if (field || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() === "z" && !event.shiftKey) run(event, actions.undo);
      return;
    }
    // A segmented control takes its own arrow keys.
    if (event.key.startsWith("Arrow") && event.target.matches?.("[type=radio]")) return;
    if (walk.press(event)) return event.preventDefault();
    switch (event.key) {
      case "+":
      case "=":
        return run(event, () => view.zoomBy(1));
      case "-":
      case "_":
        return run(event, () => view.zoomBy(-1));
      case "Home":
        return run(event, () => view.home());
    }
    const action = typed[event.key.toLowerCase()];
    if (action) run(event, action);
  });
}

function run(event, action) {
  if (!action) return;
  event.preventDefault();
  action();
}

/** A dialog that asks for a place; `go({x, y}, zoom)` is called with BigInts. */
export function wireGoTo(view, parse) {
  const dialog = $("#goto");
  const [x, y, zoom] = ["x", "y", "zoom"].map((name) => $(`[name=goto-${name}]`, dialog));
  const complain = (text) => ($("#goto-error").textContent = text);
  x.addEventListener("paste", (event) => {
    // A link, or "x, y", may be pasted as one.
    const text = event.clipboardData.getData("text").trim();
    const found = parse(text.includes("#") ? text.slice(text.indexOf("#")) : text.replaceAll(/\s+/g, ""));
    if (!found.place) return;
    event.preventDefault();
    [x.value, y.value] = [found.place.x, found.place.y];
    if (text.split(",").length > 2) zoom.value = Math.round(100 * 2 ** found.zoom);
  });
  $("form", dialog).addEventListener("submit", (event) => {
    event.preventDefault();
    const clean = (field) => field.value.replaceAll(/[,\s]/g, "");
    const { place } = parse(`${clean(x)},${clean(y)}`);
    if (!place) return complain("Whole pixels, please, such as 1000000 and -128.");
    const percent = Number(clean(zoom).replace("%", ""));
    view.goTo(place, percent > 0 ? Math.log2(percent / 100) : view.zoom);
    dialog.close();
    view.element.focus({ preventScroll: true });
  });
  return () => {
    const at = view.place;
    [x.value, y.value] = [at.x, at.y];
    zoom.value = Number((100 * 2 ** view.zoom).toPrecision(3));
    complain("");
    dialog.showModal();
    x.select();
  };
}
