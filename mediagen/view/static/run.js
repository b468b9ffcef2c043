// A training's page: asked anew every two seconds while it trains; only what changed is drawn again.

import { json } from "./api.js";
import { Chart, short } from "./chart.js";
import { $, calm, el, grouped, wireDialogs } from "./dom.js";

const EVERY = 2000; // milliseconds
const STILL = 300; // seconds without a new row after which a training counts as stopped

const state = { run: null, charts: new Map(), chosen: null, shown: "", strip: "" };

function header({ name, model, preset, iteration, of, finished, idle_seconds: idle }) {
  document.title = `${name} · mediagen`;
  $("#name").textContent = name;
  $("#what").textContent = [model, preset].filter(Boolean).join(" · ");
  const now = finished ? "finished" : idle !== null && idle < STILL ? "training" : idle === null ? "starting" : "stopped";
  $("#state").dataset.state = now;
  $("#state span").textContent = now;
  $("#count").textContent = of ? `${grouped(iteration)} of ${grouped(of)}` : grouped(iteration);
  const share = of ? Math.min(1, iteration / of) : 0;
  $("#progress i").style.scale = `${share} 1`;
  $("#progress").setAttribute("aria-valuenow", Math.round(100 * share));
}

function charts({ curves }) {
  const names = Object.keys(curves);
  const all = names.flatMap((name) => [curves[name][0][0], curves[name].at(-1)[0]]);
  const span = [Math.min(...all), Math.max(...all)];
  for (const name of names) {
    if (!state.charts.has(name)) {
      const chart = new Chart(name, (iteration) => {
        for (const other of state.charts.values()) other.point(iteration);
      });
      state.charts.set(name, chart);
    }
  }
  const sorted = [...state.charts.keys()].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  const shown = sorted.map((name) => state.charts.get(name).element);
  if (shown.some((element, k) => $("#charts").children[k] !== element)) $("#charts").replaceChildren(...shown);
  for (const name of names) state.charts.get(name).set(curves[name], span, $("#log").checked);
  $("#nothing").hidden = names.length > 0;
}

/** The measure first, then losses, speed last. */
const rank = (name) => (name === "swd" ? 0 : name.endsWith("loss") ? 1 : name.endsWith("_per_second") ? 3 : 2);

function previews({ previews: found }) {
  const iterations = [...new Set(found.map(({ iteration }) => iteration))];
  $("#previews").hidden = !iterations.length;
  $("main").classList.toggle("alone", !iterations.length);
  if (!iterations.length) return;
  const latest = iterations.at(-1);
  const chosen = iterations.includes(state.chosen) ? state.chosen : latest;
  const here = found.filter(({ iteration }) => iteration === chosen);
  const clip = here.find(({ kind }) => kind === "clip");
  const picture = here.find(({ kind }) => kind === "picture");
  $("#kinds").hidden = !(clip && picture);
  const wish = $("[name=kind]:checked").value;
  stage(wish === "clip" ? (clip ?? picture) : (picture ?? clip));
  $("#which").textContent = `${chosen === latest ? "Latest, iteration" : "Iteration"} ${grouped(chosen)}`;
  $("#latest").hidden = chosen === latest;
  strip(found, iterations, chosen);
}

function stage({ url, kind, iteration }) {
  if (state.shown === url) return;
  state.shown = url;
  const label = `Preview at iteration ${iteration}`;
  const shown =
    kind === "clip"
      ? el("video", { muted: true, loop: true, autoplay: !calm(), controls: calm(), playsInline: true, src: url, attributes: { "aria-label": label } })
      : el("img", { src: url, alt: label });
  $("#stage").replaceChildren(shown);
}

function strip(found, iterations, chosen) {
  const key = `${iterations.length}/${iterations.at(-1)}/${chosen}`;
  if (state.strip === key) return;
  const grown = !state.strip.startsWith(`${iterations.length}/`);
  state.strip = key;
  $("#strip").hidden = iterations.length < 2;
  const buttons = iterations.map((iteration) => {
    const picture = found.find((preview) => preview.iteration === iteration && preview.kind === "picture");
    const label = `Iteration ${grouped(iteration)}`;
    const content = picture ? el("img", { src: picture.url, alt: "", loading: "lazy" }) : grouped(iteration);
    const button = el("button", { type: "button", title: label, tabIndex: -1, attributes: { role: "option", "aria-label": label } }, content);
    button.setAttribute("aria-selected", String(iteration === chosen));
    button.addEventListener("click", () => choose(iteration));
    return button;
  });
  $("#strip").replaceChildren(...buttons);
  const active = buttons[iterations.indexOf(chosen)];
  if (grown || document.activeElement === $("#strip")) $("#strip").scrollLeft = active.offsetLeft - $("#strip").clientWidth / 2;
}

function choose(iteration) {
  const iterations = state.run.previews.map((preview) => preview.iteration);
  state.chosen = iteration === Math.max(...iterations) ? null : iteration; // null: the latest, whichever it is
  previews(state.run);
}

function settings({ settings: told }) {
  const rows = Object.entries(told).map(([name, value]) => {
    const text = typeof value === "number" ? (Number.isInteger(value) ? grouped(value) : short(value)) : words(value);
    return el("div", {}, el("dt", { textContent: name.replaceAll("_", " ") }), el("dd", { textContent: text }));
  });
  const key = JSON.stringify(told);
  if (state.settings === key) return;
  state.settings = key;
  $("#settings").replaceChildren(...rows);
}

const words = (value) => (value === null ? "none" : Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value));

function show(run) {
  state.run = run;
  header(run);
  charts(run);
  previews(run);
  settings(run);
  document.body.classList.add("ready");
}

async function watch() {
  let wait = EVERY;
  if (!document.hidden) {
    try {
      show(await json("/api/run"));
      if (state.run.finished) wait = 5 * EVERY;
    } catch {
      $("#state").dataset.state = "away";
      $("#state span").textContent = "the server does not answer";
    }
  }
  setTimeout(watch, wait);
}

function wire() {
  wireDialogs();
  $("#log").addEventListener("change", () => charts(state.run));
  for (const radio of document.querySelectorAll("[name=kind]")) radio.addEventListener("change", () => previews(state.run));
  $("#latest").addEventListener("click", () => choose(null));
  $("#strip").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const iterations = [...new Set(state.run.previews.map(({ iteration }) => iteration))];
    const at = state.chosen === null ? iterations.length - 1 : iterations.indexOf(state.chosen);
    choose(iterations[Math.min(iterations.length - 1, Math.max(0, at + step))]);
  });
}

wire();
watch();
