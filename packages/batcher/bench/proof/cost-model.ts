/** What a backend does with a batch. Made anew for every run, since some keep state. */
export interface Backend {
  /** How long a call takes that starts at `nowMs`, when `running` calls (it among them) are under way; before noise. */
  durationMs(size: number, running: number, nowMs: number): number;
  /** Refused as too large, after `durationMs`. */
  refuses?(size: number, nowMs: number): boolean;
}

export interface CostModel {
  readonly name: string;
  /** 99 % of the calls must end within it; what ends later is not counted. */
  readonly objectiveMs: number;
  /** Standard deviation of the logarithm of a call's duration. Default: 0.15. */
  readonly noise?: number;
  /** This share of the calls takes `times` as long. */
  readonly spikes?: { readonly share: number; readonly times: number };
  /** A call is given up after it and its items are lost. Default: 30 s. */
  readonly timeoutMs?: number;
  /** Without it there is always more work. */
  readonly bursts?: { readonly everyMs: number; readonly items: number };
  start(): Backend;
}

type Cost = (size: number, running: number, nowMs: number) => number;

/** A backend without state. */
export function plain(durationMs: Cost, refuses?: Backend["refuses"]): () => Backend {
  return () => (refuses === undefined ? { durationMs } : { durationMs, refuses });
}

/** Up to `ways` calls run side by side; beyond, they share. */
export function shared(running: number, ways: number): number {
  return Math.max(1, running / ways);
}

/** Work of `beforeMs` in parallel, then `lockedMs` of which only one call at a time is let in. */
export function serial(
  beforeMs: (size: number) => number,
  lockedMs: (size: number) => number,
): () => Backend {
  return () => {
    let freeAtMs = 0;
    return {
      durationMs(size, _running, nowMs) {
        freeAtMs = Math.max(freeAtMs, nowMs + beforeMs(size)) + lockedMs(size);
        return freeAtMs - nowMs;
      },
    };
  };
}

/** One backend until `atMs`, another from then on. */
export function shift(before: CostModel, after: CostModel, atMs: number): CostModel {
  return {
    ...after,
    name: `${before.name} -> ${after.name}`,
    objectiveMs: Math.max(before.objectiveMs, after.objectiveMs),
    start() {
      const [first, second] = [before.start(), after.start()];
      const at = (nowMs: number) => (nowMs < atMs ? first : second);
      return {
        durationMs: (size, running, nowMs) => at(nowMs).durationMs(size, running, nowMs),
        refuses: (size, nowMs) => at(nowMs).refuses?.(size, nowMs) === true,
      };
    },
  };
}
