import type { Offer, StandIn } from "./attend.ts";
import { CacheCycleError } from "./errors.ts";
import type { Freshness, Life } from "./freshness.ts";
import { staleUntil } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { NearTier } from "./near-tier.ts";
import type { Refresher } from "./refresher.ts";
import type { Space } from "./space.ts";
import type { Mark } from "./strict-memory.ts";
import type { StrictReads } from "./strict-reads.ts";
import type { Ask } from "./strict-store.ts";

export interface StandInInit {
  readonly host: Host;
  readonly reads: StrictReads;
  readonly near: NearTier | undefined;
  readonly refresher: Refresher;
  readonly space: Space;
  readonly mark: Mark;
  readonly ask: Ask;
  readonly fresh: Freshness;
  readonly life: Life;
}

/**
 * What a reader may fall back on: an entry that has expired. Whether its fences still stand, the near tier has to vouch or the store
 * has to say, once more; otherwise there is nothing to offer.
 */
export class StrictStandIn implements StandIn {
  /** The reader got it, and not the result. */
  served = false;
  readonly softTimeoutMs: number | undefined;
  readonly #init: StandInInit;
  readonly #until: number;

  constructor(init: StandInInit) {
    this.#init = init;
    this.#until = staleUntil(init.life, init.fresh.staleIfErrorMs);
    this.softTimeoutMs = init.fresh.softTimeoutMs;
  }

  offer(
    reason: "timeout" | "error",
    error?: unknown,
  ): Offer | undefined | Promise<Offer | undefined> {
    const { near, refresher, mark, ask } = this.#init;
    if (error instanceof CacheCycleError) return undefined;
    if (reason === "error") refresher.failed(mark);
    const entry = near?.held(ask.key, ask.namespace);
    return entry?.expiresAt === mark.expiresAt
      ? this.#offer(reason, entry.value)
      : this.#askFor(reason);
  }

  async #askFor(reason: "timeout" | "error"): Promise<Offer | undefined> {
    const { reads, mark, ask } = this.#init;
    const kept = (await reads.look(ask))?.kept;
    return kept?.expiresAt === mark.expiresAt ? this.#offer(reason, kept.value) : undefined;
  }

  #offer(reason: "timeout" | "error", value: unknown): Offer | undefined {
    const { host, space, mark, ask } = this.#init;
    const now = host.settings.now();
    if (host.closed !== undefined || now >= this.#until) return undefined;
    return {
      accept: () => {
        this.served = true;
        host.staleHit(space, ask.key, reason, now - mark.expiresAt);
        return value;
      },
    };
  }
}
