import { plain, serial, shared } from "./cost-model.ts";
import type { CostModel } from "./cost-model.ts";

/** Models of kinds that neither of the other sets has. Nothing was chosen on them, nor changed for what they gave. */
export const unseenModels: readonly CostModel[] = [
  /** Durations that differ by a factor of three from call to call. */
  {
    name: "heavy tail",
    objectiveMs: 5_000,
    noise: 0.6,
    spikes: { share: 0.002, times: 10 },
    start: plain((size, running) => (20 + 0.1 * size) * shared(running, 12)),
  },
  /** Inference, or a report: seconds a call. */
  {
    name: "calls of 2 s",
    objectiveMs: 20_000,
    start: plain((size, running) => (2_000 + 2 * size) * shared(running, 8)),
  },
  /** So many items a second, whatever the batch. */
  {
    name: "items per second",
    objectiveMs: 2_000,
    start: serial(
      () => 50,
      (size) => 0.2 * size,
    ),
  },
  /** Cost by the square, and two workers. */
  {
    name: "small is best",
    objectiveMs: 300,
    start: plain((size, running) => (5 + 0.01 * size ** 2) * shared(running, 2)),
  },
  /** Every call beyond the first is in the way of the others. */
  {
    name: "one at a time",
    objectiveMs: 2_000,
    start: plain((size, running) => (20 + 0.1 * size) * (1 + ((running - 1) / 2) ** 2)),
  },
  /** An objective that only a part of the settings keep, with the best right at it. */
  {
    name: "tight objective",
    objectiveMs: 60,
    start: plain((size, running) => (8 + 0.1 * size) * shared(running, 8)),
  },
  /** An API that counts: 40 calls a second are let through, the others wait their turn. */
  {
    name: "calls per second",
    objectiveMs: 3_000,
    start: serial(
      (size) => 40 + 0.05 * size,
      () => 25,
    ),
  },
  /** A cache in the backend: every 10 s it is cold for 1 s, and calls take four times as long. */
  {
    name: "cold every 10 s",
    objectiveMs: 1_500,
    start: plain(
      (size, running, nowMs) =>
        (15 + 0.12 * size) * (nowMs % 10_000 < 1_000 ? 4 : 1) * shared(running, 10),
    ),
  },
];

/** From one of the models to another. */
export const unseenShifts: readonly (readonly [string, string])[] = [
  ["calls per second", "small is best"],
  ["items per second", "one at a time"],
];
