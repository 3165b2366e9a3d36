import { plain, serial, shared } from "./cost-model.ts";
import type { CostModel } from "./cost-model.ts";

/** The models of the claim. The controller's parameters were fixed before it was run on them. */
export const heldOutModels: readonly CostModel[] = [
  /** A call per item behind the bulk endpoint, on 20 workers. */
  {
    name: "linear",
    objectiveMs: 1_200,
    start: plain((size, running) => (4 + 0.6 * size) * shared(running, 20)),
  },
  /** A round trip that hardly depends on the size. */
  {
    name: "small fixed cost",
    objectiveMs: 800,
    start: plain((size, running) => (12 + 0.08 * size) * shared(running, 6)),
  },
  /** A sort in the backend, n to the 1.6. */
  {
    name: "super-linear",
    objectiveMs: 250,
    start: plain((size, running) => (15 + 0.012 * size ** 1.6) * shared(running, 14)),
  },
  /** A batch that spills to the disk. */
  {
    name: "size cliff",
    objectiveMs: 600,
    start: plain(
      (size, running) => (size > 180 ? 120 + 0.9 * size : 12 + 0.12 * size) * shared(running, 12),
    ),
  },
  /** A gateway that gives up after 500 ms. */
  {
    name: "time-out",
    objectiveMs: 500,
    timeoutMs: 500,
    start: plain((size, running) => (60 + 0.9 * size) * shared(running, 24)),
  },
  /** An endpoint that takes 260 items. */
  {
    name: "body limit",
    objectiveMs: 400,
    start: plain(
      (size, running) => (size > 260 ? 3 : (18 + 0.1 * size) * shared(running, 12)),
      (size) => size > 260,
    ),
  },
  /** An accelerator that pads to multiples of 128. */
  {
    name: "padded sizes",
    objectiveMs: 700,
    start: plain((size, running) => (18 + 0.12 * 128 * Math.ceil(size / 128)) * shared(running, 6)),
  },
  /** Row locks: more calls at once than nine get into each other's way. */
  {
    name: "contention",
    objectiveMs: 400,
    start: plain((size, running) => (14 + 0.06 * size) * (1 + (running / 9) ** 3)),
  },
  /** A database with one writer. */
  {
    name: "serial lock",
    objectiveMs: 800,
    start: serial(
      (size) => 1 + 0.02 * size,
      (size) => 10 + 0.04 * size,
    ),
  },
  /** A far backend: the way there takes 120 ms, the work little. */
  {
    name: "deep pipeline",
    objectiveMs: 700,
    start: serial(
      (size) => 120 + 0.02 * size,
      (size) => 0.6 + 0.03 * size,
    ),
  },
  /** A shared host with pauses. */
  {
    name: "noisy",
    objectiveMs: 1_200,
    noise: 0.35,
    spikes: { share: 0.004, times: 8 },
    start: plain((size, running) => (30 + 0.1 * size) * shared(running, 14)),
  },
  /** Work in bursts with pauses between them. */
  {
    name: "bursty arrivals",
    objectiveMs: 700,
    bursts: { everyMs: 3_000, items: 5_000 },
    start: plain((size, running) => (30 + 0.08 * size) * shared(running, 6)),
  },
  /** Load of others that comes and goes. */
  {
    name: "drifting",
    objectiveMs: 900,
    start: plain(
      (size, running, nowMs) =>
        (10 + 0.15 * size) * (1.4 + 0.8 * Math.sin(nowMs / 35_000)) * shared(running, 12),
    ),
  },
  /** Nothing to win: 100 x 4 is about as good as it gets. */
  {
    name: "best at 100 x 4",
    objectiveMs: 900,
    start: plain(
      (size, running) => (40 + 0.004 * size ** 2) * (running > 4 ? 1.3 * (running / 4) ** 1.8 : 1),
    ),
  },
];

/** From one of the models to another. */
export const heldOutShifts: readonly (readonly [string, string])[] = [
  ["linear", "super-linear"],
  ["small fixed cost", "body limit"],
  ["contention", "linear"],
  ["serial lock", "size cliff"],
  ["deep pipeline", "best at 100 x 4"],
  ["best at 100 x 4", "small fixed cost"],
];
