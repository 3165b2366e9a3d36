import { setTimeout as wait } from "node:timers/promises";
import { storeBusy } from "../errors.ts";
import { isBusy } from "./result-codes.ts";

/** Time and chance, so that a test can have its own. */
export interface Clock {
  /** Milliseconds since any fixed point; never goes back. */
  now(): number;
  /** From 0 up to, not including, 1. */
  random(): number;
  wait(delayMs: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  random: Math.random,
  wait: async (delayMs) => wait(delayMs),
};

/** How long another process may hold the database before what waits for it fails. */
export const MAX_LOCK_WAIT_MS = 5_000;
/** Longest time between two attempts. */
export const MAX_BACKOFF_MS = 100;
const FIRST_BACKOFF_MS = 5;

/** Exponential, and between half and all of it by chance, so that processes which wait for the same lock do not try together. */
export function backoffMs(attempt: number, random: number): number {
  const bound = Math.min(FIRST_BACKOFF_MS * 2 ** Math.min(attempt, 10), MAX_BACKOFF_MS);
  return bound * (0.5 + random / 2);
}

/**
 * Readers do not wait for writers (WAL), but for the moments in which another process opens, recovers or closes the file.
 * @throws StoreBusyError when that lasts longer than {@link MAX_LOCK_WAIT_MS}, and what `read` throws
 */
export async function readWhenFree<T>(read: () => T, clock: Clock): Promise<T> {
  const deadlineMs = clock.now() + MAX_LOCK_WAIT_MS;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return read();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (clock.now() >= deadlineMs) throw storeBusy(error);
    }
    await clock.wait(backoffMs(attempt, clock.random()));
  }
}
