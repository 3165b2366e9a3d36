export type Use = (task: () => Promise<void>) => Promise<unknown>;

interface Loaded {
  readonly default?: unknown;
  readonly Semaphore?: unknown;
}

/** The least that limits concurrency, and those of the known packages that are installed. */
export async function rivals(capacity: number): Promise<readonly (readonly [string, Use])[]> {
  const found: (readonly [string, Use])[] = [["an array of promises", bare(capacity)]];
  const limit = (await load("p-limit"))?.default as ((capacity: number) => Use) | undefined;
  if (limit !== undefined) found.push(["p-limit", limit(capacity)]);
  const Queue = (await load("p-queue"))?.default as
    | (new (options: { concurrency: number }) => { add: Use })
    | undefined;
  if (Queue !== undefined) {
    const queue = new Queue({ concurrency: capacity });
    found.push(["p-queue", (task) => queue.add(task)]);
  }
  const Semaphore = (await load("async-mutex"))?.Semaphore as
    | (new (capacity: number) => { runExclusive: Use })
    | undefined;
  if (Semaphore !== undefined) {
    const semaphore = new Semaphore(capacity);
    found.push(["Semaphore of async-mutex", (task) => semaphore.runExclusive(task)]);
  }
  return found;
}

/** Not dependencies of this package: compared with when something else has brought them. */
async function load(name: string): Promise<Loaded | undefined> {
  try {
    return (await import(name)) as Loaded;
  } catch {
    return undefined;
  }
}

/** A count and a queue that is never shifted. */
function bare(capacity: number): Use {
  let free = capacity;
  let waiting: (() => void)[] = [];
  let head = 0;
  return async (task) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      await task();
    } finally {
      const next = waiting[head];
      if (next === undefined) {
        free += 1;
        waiting = [];
        head = 0;
      } else {
        head += 1;
        next();
      }
    }
  };
}
