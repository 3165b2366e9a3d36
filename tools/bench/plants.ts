/** Where a package is made slower, to see that the gate notices. */
export interface Plant {
  readonly operation: string;
  /** How the file's URL ends. */
  readonly file: string;
  /** Of the source; the slowdown goes behind it. */
  readonly line: string;
}

export const PLANTS: Readonly<Record<string, Plant>> = {
  "cache-events": {
    operation: "peek, hit",
    file: "/cache-events/src/event-cache.ts",
    line: "  peek(key: string, options?: KeyOptions): unknown {",
  },
  "http-pool": {
    operation: "ConnectionPool, a GET of 10 at a time",
    file: "/http-pool/src/connection-pool.ts",
    line: "    const prepared = prepareDispatch(options, this.#url);",
  },
  "stream-guard": {
    operation: "reserve and release",
    file: "/stream-guard/src/account.ts",
    line: "  take(bytes: number): void {",
  },
  batcher: {
    operation: "add, an item in a burst of 1,000",
    file: "/batcher/src/batch-processor.ts",
    line: "  add(item: T, options?: AddOptions): Promise<R> {",
  },
  metrics: {
    operation: "record an operation",
    file: "/metrics/src/operations.ts",
    line: "  record(operation: Operation): void {",
  },
};

/** The source with `spins` turns of a loop in it; undefined when the slowdown is not for this file. */
export function planted(
  name: string,
  url: string,
  source: string,
  spins: number,
): string | undefined {
  const plant = PLANTS[name];
  if (plant === undefined || !url.endsWith(plant.file)) return undefined;
  const spin = `for (let spin = 0; spin < ${spins}; spin += 1) globalThis.spun = spin;`;
  const line = `${plant.line}\n`;
  return source.includes(line) ? source.replace(line, `${line}${spin}\n`) : undefined;
}
