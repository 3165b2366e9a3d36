import type { OpenCache } from "./cache-under-test.ts";
import type { Case } from "./cases.ts";
import { cases } from "./cases.ts";
import { RaceError } from "./errors.ts";
import { within } from "../timers.ts";
import type { RaceOptions } from "./race.ts";
import { race } from "./race.ts";
import type { RaceProcessesOptions } from "./race-processes.ts";
import { raceProcesses } from "./race-processes.ts";
import { assertFresh, assertNothingStale } from "./report.ts";
import { Scene } from "./scene.ts";
import { holdingTimers } from "./turns.ts";

export interface ConformanceOptions {
  readonly open: OpenCache;
  /** Caches that share their entries, as processes would; default 1. */
  readonly instances?: number;
  /** Seeds of the races, one case each; default 1 to 5. */
  readonly seeds?: readonly number[];
  /** Operations of a race; default 5,000. */
  readonly operations?: number;
  /** Holds a cache to an invalidation that it refused, in its own reads. Default false. */
  readonly refusedBindLocally?: boolean;
  /** Longest run of a case, in ms of the real clock; default 30,000. */
  readonly limitMs?: number;
  /** Handed to `open`. */
  readonly data?: unknown;
  /** Adds a case with several processes. */
  readonly processes?: RaceProcessesOptions;
}

/** What a test runner may hand to a test. */
export interface RunnerContext {
  skip?(reason: string): unknown;
}

export interface ConformanceOutcome {
  /** What the cache lacks for this case; empty when it was run. */
  readonly lacks: readonly string[];
}

export interface ConformanceCase {
  readonly name: string;
  /**
   * Rejects with a StaleReadError or RaceError when the cache fails. What is not run is reported to the context of the test
   * runner, where it can skip, and in the outcome.
   */
  readonly run: (context?: RunnerContext) => Promise<ConformanceOutcome>;
}

const defaultSeeds = [1, 2, 3, 4, 5];
const defaultLimitMs = 30_000;

/** The suite as named cases, for any test runner: `for (const { name, run } of cacheConformance({ open })) test(name, run);` */
export function cacheConformance(options: ConformanceOptions): readonly ConformanceCase[] {
  const { seeds = defaultSeeds, processes } = options;
  return [
    ...cases.map((one) => ({
      name: one.name,
      // Runners that look at the number of parameters must find none.
      run: (...[context]: readonly [RunnerContext?]) => play(one, options, context),
    })),
    ...seeds.map((seed) => raceCase({ ...options, seed })),
    ...(processes === undefined ? [] : [processCase(processes)]),
  ];
}

async function play(
  { needs, play: script }: Case,
  options: ConformanceOptions,
  context: RunnerContext | undefined,
): Promise<ConformanceOutcome> {
  const { open, instances = 1, data, limitMs = defaultLimitMs } = options;
  const limited = <T>(what: string, work: Promise<T>): Promise<T> =>
    within(
      work,
      holdingTimers,
      limitMs,
      () => new RaceError(`${what} did not end within limitMs = ${limitMs}`),
    );
  const scene = await limited("open", Scene.open({ open, instances, data }));
  try {
    const lacks = scene.lacks(needs);
    if (lacks.length > 0) {
      if (typeof context?.skip === "function")
        context.skip(`the cache has no ${lacks.join(", no ")}`);
      return { lacks };
    }
    await limited("the case", script(scene));
    assertNothingStale(await limited("the case", scene.end()));
    return { lacks };
  } finally {
    await limited("close", scene.close());
  }
}

function raceCase(options: RaceOptions): ConformanceCase {
  return {
    name: `no random race finds a stale read (seed ${options.seed})`,
    async run() {
      assertFresh(await race(options));
      return { lacks: [] };
    },
  };
}

function processCase(options: RaceProcessesOptions): ConformanceCase {
  return {
    name: `no race of ${options.processes ?? 3} processes finds a stale read`,
    async run() {
      assertFresh(await raceProcesses(options));
      return { lacks: [] };
    },
  };
}
