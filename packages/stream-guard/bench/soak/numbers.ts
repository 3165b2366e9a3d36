const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/** @throws RangeError when `text` is not a whole number >= 0 */
export function whole(name: string, text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new RangeError(`${name}: expected a whole number, received ${text}`);
  return Number(text);
}

/** Milliseconds of `90s`, `1m` or `8h`. */
export function durationMs(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)([smh])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined)
    throw new RangeError(`duration: expected a number and s, m or h, received ${text}`);
  return Number(count) * (UNITS_MS[unit] ?? 0);
}
