import { plain, serial, shared } from "./cost-model.ts";
import type { CostModel } from "./cost-model.ts";

/** The models the controller's parameters were chosen on. Nothing is claimed from them. */
export const trainModels: readonly CostModel[] = [
  { name: "linear", objectiveMs: 2_000, start: plain((size) => 2 + size) },
  {
    name: "small fixed cost",
    objectiveMs: 1_000,
    start: plain((size, running) => (5 + 0.3 * size) * shared(running, 12)),
  },
  {
    name: "super-linear",
    objectiveMs: 150,
    start: plain((size, running) => (8 + 0.02 * size + 0.002 * size ** 2) * shared(running, 10)),
  },
  {
    name: "size cliff",
    objectiveMs: 400,
    start: plain(
      (size, running) =>
        (20 + 0.1 * size + (size > 300 ? 2 * (size - 200) : 0)) * shared(running, 16),
    ),
  },
  {
    name: "time-out",
    objectiveMs: 200,
    timeoutMs: 200,
    start: plain((size, running) => (30 + 0.4 * size) * shared(running, 16)),
  },
  {
    name: "body limit",
    objectiveMs: 500,
    start: plain(
      (size, running) => (size > 420 ? 5 : (25 + 0.05 * size) * shared(running, 8)),
      (size) => size > 420,
    ),
  },
  {
    name: "padded sizes",
    objectiveMs: 500,
    start: plain(
      (size, running) => (10 + 0.15 * 2 ** Math.ceil(Math.log2(size))) * shared(running, 8),
    ),
  },
  {
    name: "contention",
    objectiveMs: 600,
    start: plain((size, running) => (10 + 0.1 * size) * (1 + (running / 6) ** 2)),
  },
  {
    name: "serial lock",
    objectiveMs: 600,
    start: serial(
      (size) => 2 + 0.01 * size,
      (size) => 6 + 0.05 * size,
    ),
  },
  {
    name: "deep pipeline",
    objectiveMs: 1_000,
    start: serial(
      () => 200,
      (size) => 1 + 0.02 * size,
    ),
  },
  {
    name: "noisy",
    objectiveMs: 1_500,
    noise: 0.4,
    spikes: { share: 0.005, times: 6 },
    start: plain((size, running) => (20 + 0.15 * size) * shared(running, 10)),
  },
  {
    name: "bursty arrivals",
    objectiveMs: 500,
    bursts: { everyMs: 2_000, items: 6_000 },
    start: plain((size, running) => (20 + 0.1 * size) * shared(running, 8)),
  },
  {
    name: "drifting",
    objectiveMs: 800,
    start: plain(
      (size, running, nowMs) =>
        (15 + 0.1 * size) * (1.5 + Math.sin(nowMs / 20_000)) * shared(running, 10),
    ),
  },
  {
    name: "best at 100 x 4",
    objectiveMs: 1_000,
    start: plain(
      (size, running) => (50 + 0.005 * size ** 2) * (running > 4 ? 1.5 * (running / 4) ** 2 : 1),
    ),
  },
  {
    name: "calls of 1 s",
    objectiveMs: 12_000,
    start: plain((size, running) => (1_000 + 1.5 * size) * shared(running, 12)),
  },
  {
    name: "calls of 3 s, serial",
    objectiveMs: 25_000,
    start: serial(
      () => 3_000,
      (size) => 20 + 0.8 * size,
    ),
  },
];

/** From one of the models to another. */
export const trainShifts: readonly (readonly [string, string])[] = [
  ["linear", "contention"],
  ["small fixed cost", "super-linear"],
  ["serial lock", "linear"],
  ["super-linear", "deep pipeline"],
  ["contention", "body limit"],
  ["deep pipeline", "best at 100 x 4"],
];
