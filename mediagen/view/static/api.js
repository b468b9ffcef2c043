// What the server offers, as functions and addresses. Everything is same-origin and GET.

/** JSON of an address; throws an Error with the server's own words. */
export async function json(address) {
  const answer = await fetch(address, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 300) || `the server answered ${answer.status}`);
  return answer.json();
}

/** A scene object as it travels in `?scene=`: base64url of compact JSON. */
export function packed(scene) {
  const bytes = new TextEncoder().encode(JSON.stringify(scene));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")).toString();

/** `version` says which pixels are meant, so that the browser need not ask twice. */
export const tileAddress = ({ level, i, j, scene }, version) =>
  `/tile/${level}/${i}/${j}.png?${query({ v: version ?? "", scene })}`;

export const exportAddress = (window, level, format, scene) =>
  `/export?${query({ ...inWords(window), level, format, scene })}`;

export const commandAddress = (window, scene) => `/api/command?${query({ ...inWords(window), scene })}`;

export const styleMapAddress = (scene) => `/api/style-map${scene ? `?scene=${scene}` : ""}`;

const inWords = ({ x, y, width, height }) => ({ x: String(x), y: String(y), width: String(width), height: String(height) });

/** Starts a download: an attachment does not leave the page. */
export function download(address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}
