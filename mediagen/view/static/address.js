// The address bar: #x,y,zoom and, where the scene was changed, ;seed=7;every=4096;blend=511;centre=x:y:seed;new=x:y:w:h:seed

import { plain, precise, whole } from "./numbers.js";

/** A place and a scene's changes -> the part of the address after #. */
export function format(place, zoom, changes) {
  const decimals = zoom > 0.5 ? 2 : 0;
  const parts = [
    [precise(place.x, place.fx, decimals), precise(place.y, place.fy, decimals), Number(zoom.toFixed(2))].join(","),
  ];
  if (changes.seed !== undefined) parts.push(`seed=${changes.seed}`);
  if (changes.style_every !== undefined) parts.push(`every=${changes.style_every}`);
  if (changes.blend !== undefined) parts.push(`blend=${changes.blend}`);
  if (changes.centres === null) parts.push("centres=none");
  for (const c of changes.centres ?? []) parts.push(`centre=${c.x}:${c.y}:${c.seed}`);
  for (const r of changes.resample ?? []) parts.push(`new=${r.x}:${r.y}:${r.width}:${r.height}:${r.seed}`);
  return parts.join(";");
}

/** The part after # -> {place, zoom, changes}; what cannot be read is left out, place is null when it is missing. */
export function parse(hash) {
  const [where, ...rest] = hash.replace(/^#/, "").split(";");
  const [x, y, zoom] = where.split(",");
  const place = { x: whole(x), y: whole(y ?? ""), fx: fraction(x), fy: fraction(y) };
  const changes = {};
  for (const part of rest) {
    const [key, value = ""] = part.split("=");
    if (key === "seed") put(changes, "seed", integer(value));
    if (key === "every") put(changes, "style_every", integer(value, 0));
    if (key === "blend") put(changes, "blend", integer(value, 0));
    if (part === "centres=none") changes.centres = null;
    if (key === "centre") add(changes, "centres", centre(value.split(":")));
    if (key === "new") add(changes, "resample", region(value.split(":")));
  }
  const found = place.x !== null && place.y !== null;
  const number = Number.parseFloat(zoom);
  return { place: found ? place : null, zoom: Number.isFinite(number) ? number : 0, changes };
}

function centre([x, y, seed]) {
  const found = { x: whole(x), y: whole(y), seed: integer(seed) };
  return complete(found) ? { ...found, x: plain(found.x), y: plain(found.y) } : null;
}

function region([x, y, width, height, seed]) {
  const found = { x: whole(x), y: whole(y), width: integer(width, 1), height: integer(height, 1), seed: integer(seed) };
  return complete(found) ? { ...found, x: plain(found.x), y: plain(found.y) } : null;
}

const complete = (found) => Object.values(found).every((value) => value !== null);

function integer(text, least = Number.MIN_SAFE_INTEGER) {
  const number = /^[+-]?\d+$/.test(text ?? "") ? Number(text) : NaN;
  return Number.isSafeInteger(number) && number >= least ? number : null;
}

function fraction(text) {
  const number = Number(text);
  return /^[+-]?\d+\.\d+$/.test(text ?? "") && Math.abs(number) < 2 ** 43 ? number - Math.floor(number) : 0;
}

function put(changes, key, value) {
  if (value !== null) changes[key] = value;
}

function add(changes, key, value) {
  if (value !== null && (changes[key]?.length ?? 0) < 64) (changes[key] ??= []).push(value);
}
