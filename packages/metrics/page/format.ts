export type Unit = "count" | "rate" | "ratio" | "seconds" | "bytes" | "busy";

export interface Quantity {
  readonly number: string;
  readonly unit: string;
}

export const NOTHING = "–";

/** Three digits and a unit, narrow enough for a column. */
export function quantity(value: number | null | undefined, unit: Unit): Quantity {
  if (value === null || value === undefined || !Number.isFinite(value)) {
    return { number: NOTHING, unit: "" };
  }
  if (unit === "ratio") return { number: percent(value), unit: "%" };
  if (unit === "busy") return { number: digits(value * 1000), unit: "ms/s" };
  if (unit === "seconds") return seconds(value);
  if (unit === "bytes") return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
  const large = scaled(value, 1000, ["", "k", "M", "G"]);
  return unit === "rate"
    ? { number: large.number + large.unit, unit: "/s" }
    : { number: large.number + large.unit, unit: "" };
}

export function format(value: number | null | undefined, unit: Unit): string {
  const { number, unit: name } = quantity(value, unit);
  return name === "" ? number : `${number} ${name}`;
}

export function clock(atMs: number): string {
  return new Date(atMs).toLocaleTimeString([], { hour12: false });
}

export function duration(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  if (total < 86_400) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
  return `${Math.floor(total / 86_400)} d ${Math.floor((total % 86_400) / 3600)} h`;
}

function seconds(value: number): Quantity {
  if (value === 0) return { number: "0", unit: "ms" };
  if (Math.abs(value) < 0.001) return { number: digits(value * 1e6), unit: "µs" };
  if (Math.abs(value) < 1) return { number: digits(value * 1000), unit: "ms" };
  return { number: digits(value), unit: "s" };
}

function scaled(value: number, base: number, units: readonly string[]): Quantity {
  let index = 0;
  let rest = value;
  while (Math.abs(rest) >= base && index < units.length - 1) {
    rest /= base;
    index += 1;
  }
  return { number: digits(rest), unit: units[index] ?? "" };
}

function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 99.95 || Number.isInteger(value)) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  return size < 0.005 ? "<0.01" : value.toFixed(2);
}

function percent(ratio: number): string {
  const value = ratio * 100;
  if (value === 0 || value === 100) return value.toFixed(0);
  if (value < 0.1) return value < 0.005 ? "<0.01" : value.toFixed(2);
  // Not rounded up to 100: a part is missing.
  return Math.min(value, value < 100 ? 99.9 : value).toFixed(1);
}
