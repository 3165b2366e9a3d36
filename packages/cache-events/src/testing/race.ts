import type { Pace } from "./actor.ts";
import { act } from "./actor.ts";
import type { OpenCache } from "./cache-under-test.ts";
import { pick, seeded } from "./random.ts";
import type { RaceReport } from "./report.ts";
import { missing, reportOn } from "./report.ts";
import { Turns } from "./turns.ts";
import { Witness } from "./witness.ts";
import { Workload, workloadEntries } from "./workload.ts";

export interface RaceOptions {
  readonly open: OpenCache;
  /** Caches that share their entries, as processes would; default 1. */
  readonly instances?: number;
  /** Default 5,000. */
  readonly operations?: number;
  /** Operations under way at a time; default 12. */
  readonly actors?: number;
  /** Default 1. */
  readonly seed?: number;
  /** Longest run, in ms of the real clock; default 30,000. */
  readonly limitMs?: number;
  /** Holds a cache to an invalidation that it refused, in its own reads. Default false. */
  readonly refusedBindLocally?: boolean;
  /** Handed to `open`. */
  readonly data?: unknown;
}

interface Party {
  readonly witness: Witness;
  readonly workload: Workload;
}

const longestWork = 6;
/** Of entries; one turn is a millisecond. */
const lifetimeMs = 2_000;
let races = 0;

/**
 * Races reads with slow computes against invalidations of every kind the cache has. Whoever waits is woken in an order that the
 * seed decides, so a cache that does no I/O behaves the same every time; a store double takes part with `context.turn`.
 *
 * @throws RaceError when the cache does not settle within `limitMs`, and whatever `open` throws.
 */
export async function race(options: RaceOptions): Promise<RaceReport> {
  const { seed = 1, limitMs = 30_000, refusedBindLocally = false } = options;
  const track = new Track(options, seed);
  const witnesses = await track.turns.drive(track.run(), limitMs, () => track.nowMs++);
  return reportOn(
    witnesses.map(({ recorder }) => recorder.history()),
    {
      seed,
      unit: "steps",
      refusedBindLocally,
      skipped: witnesses.slice(0, 1).flatMap(({ cache }) => missing(cache)),
    },
  );
}

/** One race, in which all time is made up. */
class Track {
  nowMs = 1_700_000_000_000;
  readonly turns: Turns;
  readonly #options: RaceOptions;
  readonly #random: () => number;
  readonly #pace: Pace;
  #moment = 0;

  constructor(options: RaceOptions, seed: number) {
    const random = seeded(seed);
    const turns = new Turns(seeded(seed + 1));
    this.#options = options;
    this.#random = random;
    this.turns = turns;
    this.#pace = {
      random,
      async work() {
        for (let left = Math.floor(longestWork * random()); left > 0; left--) await turns.turn();
      },
      async pause() {
        if (random() < 0.5) await turns.turn();
      },
    };
  }

  async run(): Promise<readonly Witness[]> {
    const { instances = 1, operations = 5_000, actors = 12 } = this.#options;
    const name = `race-${process.pid}-${++races}`;
    const parties = await Promise.all(
      Array.from({ length: instances }, (_, worker) => this.#party(name, worker)),
    );
    let left = operations;
    const actor = async (): Promise<void> => {
      while (left-- > 0) {
        const { witness, workload } = pick(this.#random, parties);
        await act(witness, workload, this.#pace);
      }
    };
    await Promise.all(Array.from({ length: actors }, actor));
    await Promise.all(parties.map(async ({ witness }) => witness.cache.close?.()));
    return parties.map(({ witness }) => witness);
  }

  async #party(name: string, worker: number): Promise<Party> {
    const random = this.#random;
    const cache = await this.#options.open({
      name,
      worker,
      now: () => this.nowMs,
      ttlMs: lifetimeMs,
      staleMs: lifetimeMs,
      maxEntries: 12,
      random,
      turn: () => this.turns.turn(),
      entries: workloadEntries,
      data: this.#options.data,
    });
    const witness = new Witness(cache, worker, () => ++this.#moment);
    return { witness, workload: new Workload(cache, random) };
  }
}
