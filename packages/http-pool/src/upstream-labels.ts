/** Stands for every upstream beyond the first ones. */
export const OTHER_UPSTREAM = "_OTHER";

/** Gives the first upstreams their own label value, and all later ones a common one. */
export class UpstreamLabels {
  readonly #limit: number;
  readonly #known = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  readonly of = (upstream: string): string => {
    if (this.#known.has(upstream)) return upstream;
    if (this.#known.size >= this.#limit) return OTHER_UPSTREAM;
    this.#known.add(upstream);
    return upstream;
  };
}
