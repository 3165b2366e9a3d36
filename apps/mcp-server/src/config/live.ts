import type { Config } from "./options.ts";

type Path = keyof Config;

/** Options that change while the server runs; every other one is read once, at the start. */
const live: ReadonlySet<string> = new Set<Path>([
  "cache.ttlMs",
  "cache.maxEntries",
  "cache.maxBytes",
  "pool.maxConnections",
  "pool.queueTimeoutMs",
  "guard.maxMemoryBytes",
  "guard.stallTimeoutMs",
  "batch.maxSize",
  "batch.maxConcurrent",
  "features.cache",
  "features.pool",
  "features.guard",
  "features.batch",
  "features.metrics",
  "log.level",
]);

export function appliesLive(path: string): boolean {
  return live.has(path);
}

export interface Changes {
  /** What runs from now on: the options that can change as they are wanted, the others as they are. */
  readonly effective: Config;
  readonly applied: readonly Path[];
  readonly needRestart: readonly Path[];
}

export function changesBetween(running: Config, wanted: Config): Changes {
  const changed = (Object.keys(wanted) as Path[]).filter((path) => running[path] !== wanted[path]);
  const applied = changed.filter(appliesLive);
  return {
    effective: {
      ...running,
      ...(Object.fromEntries(applied.map((path) => [path, wanted[path]])) as Partial<Config>),
    },
    applied,
    needRestart: changed.filter((path) => !appliesLive(path)),
  };
}
