import type { BatchController, BatchRecord } from "../../src/index.ts";
import { FixedController } from "../../src/index.ts";

export interface Backend {
  readonly name: string;
  /** What a batch costs when `running` batches (it among them) are under way. */
  durationMs(size: number, running: number, nowMs: number): number;
  /** Refused as too large, after `durationMs`. */
  refuses?(size: number): boolean;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly noise: number;
}

/** Backends whose best settings differ; `at home` is best where a fixed 100 x 4 already is. */
export const backends: readonly Backend[] = [
  { name: "linear", durationMs: (size) => 2 + size },
  { name: "fixed cost", durationMs: (size) => 40 + 0.05 * size },
  {
    name: "size cliff",
    durationMs: (size) => (size > 256 ? 10 + 3 * size : 20 + 0.1 * size),
  },
  {
    name: "hard limit",
    durationMs: (size) => (size > 300 ? 5 : 20 + 0.1 * size),
    refuses: (size) => size > 300,
  },
  {
    name: "contention",
    durationMs: (size, running) => (10 + 0.1 * size) * (1 + (running / 6) ** 2),
  },
  {
    name: "small is best",
    durationMs: (size, running) => (5 + 0.002 * size ** 2) * (1 + running / 8),
  },
  {
    name: "one at a time",
    durationMs: (size, running) => (5 + 0.1 * size) * running ** 1.3,
  },
  {
    name: "at home",
    durationMs: (size, running) =>
      (50 + 0.005 * size ** 2) * (running > 4 ? 1.5 * (running / 4) ** 2 : 1),
  },
];

/** Goodput in items per second of a controller with endless work, in virtual time: the same seed gives the same answer. */
export function simulate(
  controller: BatchController,
  backend: Backend,
  { seed, durationMs, noise }: SimulationOptions,
): number {
  const random = mulberry32(seed);
  const running: Running[] = [];
  let nowMs = 0;
  let succeeded = 0;
  let batchId = 0;
  while (nowMs < durationMs) {
    for (let settings = controller.next(); running.length < settings.concurrency;) {
      const cost = backend.durationMs(settings.size, running.length + 1, nowMs);
      const endsAtMs = nowMs + cost * Math.exp(noise * gaussian(random));
      running.push({ settings, startedAtMs: nowMs, endsAtMs, batchId: ++batchId });
      controller.started?.(settings);
      settings = controller.next();
    }
    const ended = takeEarliest(running);
    nowMs = ended.endsAtMs;
    const { size } = ended.settings;
    const refused = backend.refuses?.(size) === true;
    if (!refused) succeeded += size;
    controller.record(recordOf(ended, refused));
  }
  return (succeeded / nowMs) * 1_000;
}

/** The best goodput over a grid of settings that never change. */
export function bestStatic(
  backend: Backend,
  maxSize: number,
  maxConcurrency: number,
  options: SimulationOptions,
): number {
  let best = 0;
  for (const size of grid(maxSize))
    for (const concurrency of grid(maxConcurrency))
      best = Math.max(best, simulate(fixed(size, concurrency), backend, options));
  return best;
}

function grid(most: number): number[] {
  const values = [most];
  for (let value = 1; value < most; value = Math.ceil(value * 1.3)) values.push(value);
  return values;
}

export function fixed(size: number, concurrency: number): BatchController {
  return new FixedController({ size, concurrency, lingerMs: 0 });
}

/** A small seeded generator (mulberry32, T. Ettinger), uniform in [0, 1). */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Running extends Pick<BatchRecord, "settings" | "startedAtMs" | "batchId"> {
  readonly endsAtMs: number;
}

function recordOf(ended: Running, refused: boolean): BatchRecord {
  const { size } = ended.settings;
  return {
    batchId: ended.batchId,
    attempt: 1,
    size,
    succeeded: refused ? 0 : size,
    failed: refused ? size : 0,
    outcome: refused ? "too-large" : "ok",
    startedAtMs: ended.startedAtMs,
    durationMs: ended.endsAtMs - ended.startedAtMs,
    waitMs: 0,
    saturated: true,
    settings: ended.settings,
  };
}

function takeEarliest(running: Running[]): Running {
  let earliest = 0;
  for (const [index, { endsAtMs }] of running.entries())
    if (endsAtMs < (running[earliest]?.endsAtMs ?? Infinity)) earliest = index;
  const [taken] = running.splice(earliest, 1);
  if (taken === undefined) throw new Error("nothing is running");
  return taken;
}

/** Box-Muller. */
function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
