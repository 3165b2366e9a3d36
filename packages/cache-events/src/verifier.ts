import { isDeepStrictEqual } from "node:util";
import type { Compute } from "./flight.ts";
import { Flight } from "./flight.ts";
import type { Host } from "./host.ts";
import type { Space } from "./space.ts";

const maxRunning = 8;

export interface Sample {
  readonly space: Space;
  readonly key: string;
  readonly cached: unknown;
  readonly compute: Compute<unknown>;
  /** Whether the entry still stands: a difference that an invalidation or expiry explains is none. */
  stands(): boolean | Promise<boolean>;
  drop(): void | Promise<void>;
}

/** Computes a share of the hits again, beside the read, and compares. */
export class Verifier {
  readonly #host: Host;
  #running = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  samples(): boolean {
    const { random, verifyRatio } = this.#host.settings;
    return this.#running < maxRunning && random() < verifyRatio;
  }

  start(sample: Sample): void {
    const flight = new Flight(this.#host, sample.space, sample.key);
    this.#running++;
    const settled = (): void => {
      this.#running--;
    };
    this.#compare(sample, flight).then(settled, settled);
  }

  async #compare(sample: Sample, flight: Flight): Promise<void> {
    const result = flight.pin();
    const plan = { compute: sample.compute, tag() {}, land: () => false, leave: () => false };
    await Promise.all([flight.run(plan), result]);
    const computed = await result;
    if (isDeepStrictEqual(computed, sample.cached) || !(await sample.stands())) return;
    const { key, space, cached } = sample;
    this.#host.counts.verifyMismatches++;
    this.#host.announcer.emit("mismatch", { key, namespace: space.name, cached, computed });
    await sample.drop();
  }
}
