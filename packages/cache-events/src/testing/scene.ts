import { PlannedError } from "./actor.ts";
import type { CacheNeed, CacheUnderTest, OpenCache } from "./cache-under-test.ts";
import { has } from "./cache-under-test.ts";
import { RaceError } from "./errors.ts";
import { seeded } from "./random.ts";
import type { RaceReport } from "./report.ts";
import { missing, reportOn } from "./report.ts";
import { nextTurn } from "./turns.ts";
import type { Cut, Target } from "./witness.ts";
import { Witness } from "./witness.ts";

/** A read whose compute ends when the case says so. */
export interface Flight {
  /** Lets the compute, if there is one, return; resolves when that had its consequences. */
  finish(): Promise<void>;
  /** Lets it throw. */
  fail(): Promise<void>;
  /** Makes the reader leave. */
  leave(): Promise<void>;
}

export interface SceneOptions {
  readonly open: OpenCache;
  readonly instances: number;
  readonly data: unknown;
}

export const sceneEntries = 8;
export const sceneTtlMs = 1_000;

const turnsToSettle = 12;
const turnsToBegin = 200;
let scenes = 0;

/** The stage of one case: the caches, computes that wait to be let go, and a clock that the case moves. */
export class Scene {
  nowMs = 1_700_000_000_000;
  readonly witnesses: readonly Witness[];
  readonly #reads: Promise<void>[] = [];
  readonly #gates: PromiseWithResolvers<void>[] = [];
  #provoked = false;
  #unplanned: unknown;

  private constructor(witnesses: readonly Witness[]) {
    this.witnesses = witnesses;
  }

  static async open({ open, instances, data }: SceneOptions): Promise<Scene> {
    const name = `case-${process.pid}-${++scenes}`;
    const witnesses: Witness[] = [];
    const scene = new Scene(witnesses);
    let moment = 0;
    for (let worker = 0; worker < instances; worker++) {
      const cache = await open({
        name,
        worker,
        now: () => scene.nowMs,
        ttlMs: sceneTtlMs,
        staleMs: 60 * sceneTtlMs,
        maxEntries: sceneEntries,
        random: seeded(worker),
        turn: nextTurn,
        entries: [],
        data,
      });
      witnesses.push(new Witness(cache, worker, () => ++moment));
    }
    return scene;
  }

  get cache(): CacheUnderTest {
    return this.#witness(0).cache;
  }

  lacks(needs: readonly CacheNeed[]): readonly CacheNeed[] {
    return needs.filter((need) => !has(this.cache, need));
  }

  /** Begins a read and waits until its compute has begun, if it has one of its own. */
  async flight(target: Target, at = 0): Promise<Flight> {
    const gate = Promise.withResolvers<void>();
    gate.promise.catch(() => {});
    this.#gates.push(gate);
    const controller = new AbortController();
    let moved = false;
    const work = (): Promise<void> => {
      moved = true;
      return gate.promise;
    };
    const withSignal = this.cache.features?.includes("signal") === true;
    const read = this.#witness(at).read(target, {
      work,
      ...(withSignal && { signal: controller.signal }),
    });
    this.#reads.push(this.#watch(read).finally(() => (moved = true)));
    await this.#until(() => moved);
    return {
      finish: () => this.#after(() => gate.resolve()),
      fail: () => this.#provoke(() => gate.reject(new PlannedError("a compute that fails"))),
      leave: () => this.#provoke(() => controller.abort(new PlannedError("a reader that leaves"))),
    };
  }

  /** A read whose compute returns at once. */
  async read(target: Target, at = 0): Promise<void> {
    await this.#watch(this.#witness(at).read(target));
  }

  /** The last of the caches does it, so that with several of them it is not the one that computes. */
  async cut(cut: Cut): Promise<void> {
    await this.#witness(this.witnesses.length - 1).cut(cut);
  }

  /** Reads in every way there is, in every cache; does not wait for a compute that the case holds back. */
  async look(target: Target): Promise<void> {
    await this.settle();
    for (const at of this.witnesses.keys()) {
      let done = false;
      this.#reads.push(this.#watch(this.#lookAt(at, target)).finally(() => (done = true)));
      await this.#until(() => done);
    }
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < turnsToSettle; turn++) await nextTurn();
    for (const { cache } of this.witnesses) await cache.settled?.();
  }

  get hits(): number {
    return this.witnesses.reduce((sum, { recorder }) => sum + recorder.counts.hits, 0);
  }

  /** Lets everything end. @throws what no case expects. */
  async end(): Promise<RaceReport> {
    for (const gate of this.#gates) gate.resolve();
    await Promise.all(this.#reads);
    if (this.#unplanned !== undefined)
      throw new RaceError("a read failed although its compute did not", { cause: this.#unplanned });
    return reportOn(
      this.witnesses.map(({ recorder }) => recorder.history()),
      { seed: 0, unit: "steps", skipped: missing(this.cache) },
    );
  }

  async close(): Promise<void> {
    for (const gate of this.#gates) gate.resolve();
    for (const { cache } of this.witnesses) await cache.close?.();
  }

  async #after(act: () => void): Promise<void> {
    act();
    await this.settle();
  }

  async #lookAt(at: number, target: Target): Promise<void> {
    const witness = this.#witness(at);
    if (has(witness.cache, "peek")) witness.peek(target);
    if (has(witness.cache, "get")) await witness.get(target);
    await witness.read(target);
    if (has(witness.cache, "peek")) witness.peek(target);
  }

  #provoke(act: () => void): Promise<void> {
    this.#provoked = true;
    return this.#after(act);
  }

  /** Gives up where nothing is to come: a read that joins another's compute has none of its own. */
  async #until(done: () => boolean): Promise<void> {
    for (let turn = 0; turn < turnsToBegin && !done(); turn++) {
      await nextTurn();
      if (turn % turnsToSettle === 0) await this.cache.settled?.();
    }
  }

  async #watch(read: Promise<void>): Promise<void> {
    try {
      await read;
    } catch (error) {
      if (!this.#provoked) this.#unplanned ??= error;
    }
  }

  #witness(at: number): Witness {
    const witness = this.witnesses[at % this.witnesses.length];
    if (witness === undefined) throw new RaceError("expected at least one instance");
    return witness;
  }
}
