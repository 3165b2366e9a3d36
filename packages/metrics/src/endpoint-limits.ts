import { InvalidOptionError } from "./errors.ts";

/** Throws `InvalidOptionError` unless `value` is an integer from `min` to `max`. */
export function requireInteger(option: string, value: unknown, min: number, max: number): void {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return;
  throw new InvalidOptionError(option, `an integer from ${min} to ${max}`, value);
}
