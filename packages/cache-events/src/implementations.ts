import { randomUUID } from "node:crypto";

const maxNames = 4_096;

interface Known {
  readonly implementation: unknown;
  readonly variant: string;
}

/**
 * Tells the results of a tool from those of another that had its name before. The first implementation of a name has the variant
 * that all replicas give it; one that replaced it has a variant of its own.
 */
export class Implementations {
  readonly #known = new Map<string, Known>();
  #first: string;

  constructor(first: string) {
    this.#first = first;
  }

  variantOf(name: string, implementation: unknown): string {
    const known = this.#known.get(name);
    if (known?.implementation === implementation) return known?.variant ?? this.#first;
    if (this.#known.size >= maxNames) {
      // Which names were replaced is no longer known: from now on none shares what was kept before.
      this.#known.clear();
      this.#first = randomUUID();
    }
    const variant = known === undefined ? this.#first : randomUUID();
    this.#known.set(name, { implementation, variant });
    return variant;
  }
}
