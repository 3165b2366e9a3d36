import type { Offer, StandIn } from "./attend.ts";
import type { EntryTable } from "./entry-table.ts";
import { CacheCycleError } from "./errors.ts";
import type { Freshness } from "./freshness.ts";
import { staleUntil } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { Entry } from "./memory-tier.ts";
import type { Refresher } from "./refresher.ts";

/** What a reader may fall back on: an entry that has expired, for as long as it stands and is not too old. */
export class LocalStandIn implements StandIn {
  /** The reader got it, and not the result. */
  served = false;
  readonly softTimeoutMs: number | undefined;
  readonly #host: Host;
  readonly #table: EntryTable;
  readonly #refresher: Refresher;
  readonly #entry: Entry;
  readonly #until: number;

  constructor(host: Host, table: EntryTable, refresher: Refresher, entry: Entry, fresh: Freshness) {
    this.#host = host;
    this.#table = table;
    this.#refresher = refresher;
    this.#entry = entry;
    this.#until = staleUntil(entry, fresh.staleIfErrorMs);
    this.softTimeoutMs = fresh.softTimeoutMs;
  }

  offer(reason: "timeout" | "error", error?: unknown): Offer | undefined {
    if (this.#host.closed !== undefined || error instanceof CacheCycleError) return undefined;
    const entry = this.#entry;
    if (reason === "error") this.#refresher.failed(entry);
    const now = this.#host.settings.now();
    if (now >= this.#until || !this.#table.stands(entry)) return undefined;
    return {
      accept: () => {
        this.served = true;
        this.#host.staleHit(entry.space, entry.key, reason, now - entry.expiresAt);
        return entry.value;
      },
    };
  }
}
