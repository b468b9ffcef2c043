// Positions on the plane: whole pixels as BigInt, because the plane reaches to 2^62 and a double is exact to 2^53 only.

export const PLANE_END = 2n ** 62n - 2n ** 24n;

/** "1,000", "-3", "1e12", "12.7" or a number -> BigInt, rounded down; null for anything else or beyond the plane. */
export function whole(value) {
  const text = String(value).replaceAll(/[,\s_]/g, "").replace("−", "-");
  let found = null;
  if (/^[+-]?\d+$/.test(text)) found = BigInt(text);
  else if (/^[+-]?\d*\.?\d+(e\+?\d+)?$/i.test(text) && Number.isFinite(Number(text))) found = BigInt(Math.floor(Number(text)));
  return found !== null && found >= -PLANE_END && found <= PLANE_END ? found : null;
}

/** A number or decimal string as JSON carries it -> the nearest BigInt. */
export const nearest = (value) => BigInt(typeof value === "number" ? Math.round(value) : value);

/** As JSON carries it: a number while a double is exact, else a decimal string. */
export function plain(big) {
  const number = Number(big);
  return Number.isSafeInteger(number) ? number : big.toString();
}

/** a / b rounded down, also for negative a; b > 0. */
export function floorDiv(a, b) {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

/** 1000000n -> "1,000,000", with a proper minus. */
export function grouped(big) {
  return big.toLocaleString("en-US").replace("-", "−");
}

/** Whole pixels and a fraction as text: decimals only while a double can carry them. */
export function precise(big, fraction, decimals) {
  const number = Number(big);
  if (!decimals || Math.abs(number) > 2 ** 43) return big.toString();
  return String(Number((number + fraction).toFixed(decimals)));
}
