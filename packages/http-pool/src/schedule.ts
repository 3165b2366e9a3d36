import { performance } from "node:perf_hooks";

/** Runs `callback` once after `delayMs` milliseconds; the returned function cancels it. */
export type Schedule = (callback: () => void, delayMs: number) => () => void;

/** `setTimeout` that does not keep the process alive. */
export const unrefSchedule: Schedule = (callback, delayMs) => {
  const timer = setTimeout(callback, delayMs);
  timer.unref();
  return () => {
    clearTimeout(timer);
  };
};

/** Milliseconds that never jump backwards. */
export function monotonicNow(): number {
  return performance.now();
}
