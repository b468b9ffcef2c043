// The page of a canvas or a plane: asks what is viewed, and puts the parts together.

import { Actions } from "./actions.js";
import { format, parse } from "./address.js";
import { json } from "./api.js";
import { Centres } from "./centres.js";
import { $, copy, open, throttled, toast, wireDialogs } from "./dom.js";
import { wireGoTo, wireKeys } from "./keys.js";
import { grouped } from "./numbers.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";
import { Rectangle } from "./rectangle.js";
import { Scene } from "./scene.js";
import { Status } from "./status.js";
import { View } from "./view.js";

const big = (value) => (value === null || value === undefined ? null : BigInt(value));

/** The server's scene with positions as BigInts. */
function exact(scene) {
  const { x, y, width, height } = scene.bounds ?? {};
  return {
    ...scene,
    bounds: { x: big(x), y: big(y), width: big(width), height: big(height) },
    start: { ...scene.start, x: big(scene.start.x), y: big(scene.start.y) },
  };
}

function title({ name, model, kind, bounds }) {
  document.title = `${name} · mediagen`;
  $("#name").textContent = name;
  const size = bounds.width !== null && bounds.height !== null ? `${grouped(bounds.width)} × ${grouped(bounds.height)} px` : "";
  const what = kind === "plane" ? ["endless plane"] : [model, size];
  $("#what").textContent = what.filter((part) => part && part !== name).join(" · ");
}

/** Keeps the address bar at what is seen, and goes where a changed address says. */
function wireAddress(view, scene, { applied }) {
  let own = "";
  const write = throttled(() => {
    own = `#${format(view.place, view.zoom, scene.changes)}`;
    if (location.hash !== own) history.replaceState(null, "", own);
  }, 250);
  view.map.on("moveend rebase", write);
  scene.addEventListener("change", write);
  addEventListener("hashchange", () => {
    if (location.hash === own) return;
    const found = parse(location.hash);
    if (scene.defaults) scene.change({ ...structuredClone(scene.defaults), ...found.changes });
    if (found.place) view.goTo(found.place, found.zoom);
  });
  if (applied.place) view.goTo(applied.place, applied.zoom);
  else view.home();
  return () => new URL(`#${format(view.place, view.zoom, scene.changes)}`, location.href).href;
}

function wireTools({ view, scene, panel, centres, rectangle, link }) {
  const show = (id, shown) => {
    $(id).hidden = !shown;
    $("#tool-panel").setAttribute("aria-expanded", String(shown));
  };
  const togglePanel = () => scene.defaults && show("#panel", $("#panel").hidden);
  const copyLink = () => copy(link(), "Link to this place copied");
  const select = (event) => {
    // By keyboard there is no drag to draw with: a rectangle is there at once.
    if (event?.detail === 0 || !event) {
      if (rectangle.window) rectangle.clear();
      else rectangle.begin();
    } else rectangle.arm();
  };
  const help = () => open($("#help"));
  const bare = () => {
    if (document.body.classList.toggle("bare")) toast("Only the picture; H brings the rest back");
  };
  const goTo = wireGoTo(view, parse);
  const handles = $("#tool-handles");
  handles?.addEventListener("click", () => {
    const shown = handles.getAttribute("aria-pressed") !== "true";
    handles.setAttribute("aria-pressed", String(shown));
    centres.toggle(shown);
  });
  const escape = () => {
    if (document.body.classList.contains("bare")) bare();
    else if (rectangle.window || rectangle.armed) {
      rectangle.clear();
      view.element.focus({ preventScroll: true });
    }
  };
  rectangle.addEventListener("change", () => $("#tool-select").setAttribute("aria-pressed", String(rectangle.armed)));
  const clicks = {
    "#tool-select": select, "#tool-panel": togglePanel, "#tool-link": copyLink, "#tool-help": help, "#tool-goto": goTo,
    "#panel-close": togglePanel, "#zoom-in": () => view.zoomBy(1), "#zoom-out": () => view.zoomBy(-1),
    "#zoom-home": () => view.home(), "#percent": () => view.glide.to(0, view.size.divideBy(2)),
  };
  for (const [selector, act] of Object.entries(clicks)) $(selector).addEventListener("click", act);
  wireKeys({
    view,
    actions: { undo: scene.defaults && (() => scene.undo()) },
    typed: {
      0: () => view.glide.to(0, view.size.divideBy(2)), f: () => view.fit(), g: goTo, r: () => select(), c: copyLink,
      p: togglePanel, n: panel && (() => panel.surprise()), h: bare, escape, "?": help,
      t: () => dispatchEvent(new CustomEvent("toggletheme")),
    },
  });
}

async function main() {
  wireDialogs();
  const slow = setTimeout(() => {
    $("#status-text").textContent = "Loading the model";
    $("#status").classList.add("shown");
  }, 500);
  const told = exact(await json("/api/scene"));
  clearTimeout(slow);
  $("#status").classList.remove("shown");
  const applied = parse(location.hash);
  title(told);
  const view = new View($("#map"), told);
  view.map.setView([0, 0], told.start.zoom, { animate: false });
  const scene = new Scene(told.defaults);
  if (scene.defaults) scene.change(applied.changes, { undoable: false });
  const link = wireAddress(view, scene, { applied });
  let status = null;
  const painter = new Painter(view, told, () => status?.changed());
  painter.scene = scene.query;
  status = new Status(view, painter);
  scene.addEventListener("change", ({ detail }) => painter.show(scene.query, { same: detail.look === "same" }));
  const abilities = { levels: told.levels, canResample: told.can_resample, styles: told.styles };
  const centres = new Centres(view, scene);
  const panel = scene.defaults ? new Panel(view, scene, centres, abilities) : null;
  const rectangle = new Rectangle(view);
  new Actions(view, scene, rectangle, abilities);
  wireTools({ view, scene, panel, centres, rectangle, link });
  for (const part of document.querySelectorAll("[data-plane]")) part.hidden = !scene.defaults;
  $("#panel").hidden = !scene.defaults || innerWidth < 900;
  $("#tool-panel").setAttribute("aria-expanded", String(!$("#panel").hidden));
  document.body.classList.add("ready");
  painter.ask();
}

main().catch((error) => {
  document.body.classList.add("ready");
  toast(`Nothing can be shown: ${error.message}`, { bad: true });
});
