import type { Host } from "./host.ts";

/** Asks an outside source of validity at the start of every read; a change, or a failure to tell, invalidates everything. */
export class EpochWatch {
  readonly #host: Host;
  readonly #epoch: () => number | string;
  readonly #changed: () => void;
  #last: number | string | undefined;

  constructor(host: Host, epoch: () => number | string, changed: () => void) {
    this.#host = host;
    this.#epoch = epoch;
    this.#changed = changed;
  }

  check(): void {
    const next = this.#read();
    if (next === this.#last && next !== undefined) return;
    this.#last = next;
    this.#changed();
    this.#host.invalidated(1, { kind: "epoch" });
  }

  #read(): number | string | undefined {
    try {
      return this.#epoch();
    } catch (error) {
      this.#host.storeFailed("epoch", error);
      return undefined;
    }
  }
}
