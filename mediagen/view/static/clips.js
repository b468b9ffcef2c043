// A contact sheet of clips: each plays while the pointer or the focus is on it, one can be seen large.

import { json } from "./api.js";
import { $, calm, copy, el, grouped, open, toast, wireDialogs } from "./dom.js";

const SHOWN = { seed: "seed", content_seed: "content seed", motion_seed: "motion seed", category: "category", grid: "grid" };

const state = { clips: [], cards: [], open: -1, all: false };

function clock(seconds) {
  if (seconds === null) return "";
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")} min`;
}

function figures({ width, height, fps, seconds, damaged }) {
  if (damaged) return "damaged";
  const rate = fps && `${Number(fps.toFixed(2))} fps`;
  return [clock(seconds), width && `${width} × ${height}`, rate].filter(Boolean).join(" · ");
}

/** The element that shows a clip; a GIF is a picture that moves by itself. */
function media({ kind, url, name }) {
  if (kind === "picture") return el("img", { src: url, alt: name });
  const video = el("video", { muted: true, loop: true, playsInline: true, preload: "metadata" });
  video.src = url;
  return video;
}

function card(clip, number) {
  const frame = el("span", { className: "frame" });
  frame.style.aspectRatio = clip.width ? Math.min(2.2, Math.max(0.6, clip.width / clip.height)) : "";
  const seed = clip.provenance?.seed;
  const button = el(
    "button",
    { className: "clip", type: "button", dataset: { number } },
    frame,
    el(
      "span",
      { className: "caption" },
      el("b", { textContent: clip.name, title: clip.name }),
      el("span", { className: "soft", textContent: seed === undefined ? "" : `seed ${seed}` }),
      el("span", { className: "soft figures", textContent: figures(clip) }),
    ),
  );
  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && play(button));
  button.addEventListener("pointerleave", () => pause(button));
  button.addEventListener("focus", () => play(button));
  button.addEventListener("blur", () => pause(button));
  button.addEventListener("click", () => show(number));
  return button;
}

/** Files are opened when their card comes near the window. */
function fill(button) {
  const frame = $(".frame", button);
  if (frame.firstChild) return;
  const shown = media(state.clips[button.dataset.number]);
  const line = el("i");
  frame.append(shown, line);
  shown.addEventListener("timeupdate", () => {
    line.style.scale = `${shown.currentTime / (shown.duration || 1)} 1`;
  });
}

const video = (button) => $("video", button);

function play(button) {
  fill(button);
  button.classList.add("playing");
  video(button)?.play().catch(() => {}); // a pause that comes first is no fault
}

function pause(button) {
  if (state.all && button.dataset.near) return;
  if (document.activeElement === button && button.matches(":focus-visible")) return;
  button.classList.remove("playing");
  video(button)?.pause();
}

function playAll(all) {
  state.all = all;
  const toggle = $("#play-all");
  toggle.setAttribute("aria-pressed", String(all));
  $("use", toggle).setAttribute("href", all ? "#i-pause" : "#i-play");
  toggle.lastChild.textContent = all ? "Pause" : "Play all";
  for (const button of state.cards) (all && button.dataset.near ? play : pause)(button);
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) {
        target.dataset.near = "1";
        fill(target);
        if (state.all) play(target);
      } else {
        delete target.dataset.near;
        pause(target);
      }
    }
  },
  { rootMargin: "200px" },
);

function show(number) {
  const clip = state.clips[number];
  const dialog = $("#large");
  state.open = number;
  const shown = media(clip);
  if (clip.kind !== "picture") Object.assign(shown, { controls: true, autoplay: !calm() });
  $(".stage").replaceChildren(shown);
  $("h2", dialog).textContent = clip.name;
  const told = clip.provenance ?? {};
  const facts = {
    length: clock(clip.seconds),
    frames: clip.frames && grouped(clip.frames),
    size: clip.width && `${clip.width} × ${clip.height} px`,
    rate: clip.fps && `${Number(clip.fps.toFixed(2))} frames a second`,
    model: told.model,
    ...Object.fromEntries(Object.entries(SHOWN).map(([key, name]) => [name, told[key]])),
    codec: told.codec,
    "on disk": `${grouped(Math.max(1, Math.round(clip.bytes / 1024)))} KiB`,
  };
  const rows = Object.entries(facts).filter(([, value]) => value !== undefined && value !== null && value !== "");
  $(".facts").replaceChildren(...rows.flatMap(([name, value]) => [el("dt", { textContent: name }), el("dd", { textContent: value })]));
  $(".how").hidden = !told.command;
  // A line ends between two options, not within one.
  const options = (told.command ?? "").split(/ (?=--)/);
  $(".how pre").replaceChildren(...options.flatMap((option, k) => [k ? " " : "", el("span", { textContent: option })]));
  $("#of").textContent = `${number + 1} of ${state.clips.length}`;
  if (!dialog.open) open(dialog);
}

const turn = (step) => show((state.open + step + state.clips.length) % state.clips.length);

function wire() {
  wireDialogs();
  $("#play-all").addEventListener("click", () => playAll(!state.all));
  $("#back").addEventListener("click", () => turn(-1));
  $("#next").addEventListener("click", () => turn(1));
  $("#copy-how").addEventListener("click", () => copy($(".how pre").textContent, "Command copied"));
  $("#large").addEventListener("close", () => {
    $(".stage").replaceChildren();
    state.cards[state.open]?.focus();
  });
  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if ($("#large").open) {
      if (step && event.target.localName !== "video") turn(step);
    } else if (step || event.key === "ArrowDown" || event.key === "ArrowUp") walk(event);
    else if (event.key === " " && !event.target.closest("button")) {
      event.preventDefault();
      playAll(!state.all);
    }
  });
}

/** The arrow keys walk over the sheet. */
function walk(event) {
  const columns = getComputedStyle($("#sheet")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const at = state.cards.indexOf(document.activeElement);
  const next = state.cards[at < 0 ? 0 : at + steps[event.key]];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

async function main() {
  wire();
  const { name, clips } = await json("/api/clips");
  state.clips = clips;
  document.title = `${name} · mediagen`;
  $("#name").textContent = name;
  const seconds = clips.reduce((sum, clip) => sum + (clip.seconds ?? 0), 0);
  $("#summary").textContent = clips.length > 1 ? `${grouped(clips.length)} clips · ${clock(seconds)}` : "";
  state.cards = clips.map(card);
  $("#sheet").replaceChildren(...state.cards);
  for (const button of state.cards) near.observe(button);
  $("#play-all").hidden = clips.length < 2;
  document.body.classList.add("ready");
  if (clips.length === 1) show(0);
}

main().catch((error) => toast(`Nothing can be shown: ${error.message}`, { bad: true }));
