import type { Config } from "../config/options.ts";
import type { Feature } from "./feature.ts";

/** A replacement that is made but not in use yet. */
export interface Prepared {
  /** Later calls use it. Never fails. */
  readonly commit: () => void;
  /** Undoes the making. */
  readonly discard: () => Promise<void>;
}

/**
 * One optimisation that can be replaced while calls are under way: each call keeps what it began with, and what was replaced is
 * closed when the last of its calls has ended.
 */
export class Switch<T extends Feature> implements AsyncDisposable {
  readonly #make: (config: Config) => T;
  readonly #reportError: (error: unknown) => void;
  readonly #retired = new Set<Holder<T>>();
  #holder: Holder<T>;

  constructor(make: (config: Config) => T, config: Config, reportError: (error: unknown) => void) {
    this.#make = make;
    this.#reportError = reportError;
    this.#holder = new Holder(make(config));
  }

  get current(): T {
    return this.#holder.feature;
  }

  /** How many were replaced and still have calls under way. */
  get retiring(): number {
    return this.#retired.size;
  }

  async use<R>(work: (feature: T) => Promise<R>): Promise<R> {
    const { feature, release } = this.hold();
    try {
      return await work(feature);
    } finally {
      release();
    }
  }

  /** What is current now, kept open until `release`. */
  hold(): { readonly feature: T; readonly release: () => void } {
    const holder = this.#holder;
    let held = true;
    holder.calls += 1;
    return {
      feature: holder.feature,
      release: () => {
        if (!held) return;
        held = false;
        holder.calls -= 1;
        if (holder !== this.#holder && holder.calls === 0) this.#end(holder);
      },
    };
  }

  /** @throws what making one with this configuration throws; nothing has changed then. */
  prepare(config: Config): Prepared {
    const next = this.#make(config);
    return {
      commit: () => this.#replace(next),
      discard: async () => next[Symbol.asyncDispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const holders = [this.#holder, ...this.#retired];
    await Promise.all(holders.map(async ({ feature }) => feature[Symbol.asyncDispose]()));
  }

  #replace(next: T): void {
    const before = this.#holder;
    this.#holder = new Holder(next);
    this.#retired.add(before);
    before.feature.free?.().catch(this.#reportError);
    if (before.calls === 0) this.#end(before);
  }

  #end(holder: Holder<T>): void {
    const { feature } = holder;
    const ended = async (): Promise<void> => {
      try {
        await feature.finish?.();
      } finally {
        await feature[Symbol.asyncDispose]();
        this.#retired.delete(holder);
      }
    };
    ended().catch(this.#reportError);
  }
}

class Holder<T> {
  readonly feature: T;
  calls = 0;

  constructor(feature: T) {
    this.feature = feature;
  }
}
