import { checkTags } from "./checks.ts";
import type { EntryTable } from "./entry-table.ts";
import type { Compute, FlightPlan } from "./flight.ts";
import type { Failure, Freshness } from "./freshness.ts";
import { isAnswer, lifeOfResult } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { LocalFlight } from "./local-flight.ts";
import type { GetOrSetOptions } from "./options.ts";

/** What a compute of the local engine does, and what becomes of its result. One object, for one is made for every load. */
export class LocalPlan implements FlightPlan {
  readonly compute: Compute<unknown>;
  readonly loadTimeoutMs: number;
  readonly #host: Host;
  readonly #table: EntryTable;
  readonly #flight: LocalFlight;
  readonly #ttlMs: number | undefined;
  readonly #fresh: Freshness;

  constructor(
    host: Host,
    table: EntryTable,
    flight: LocalFlight,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
    fresh: Freshness,
  ) {
    this.compute = compute;
    this.loadTimeoutMs = fresh.loadTimeoutMs;
    this.#host = host;
    this.#table = table;
    this.#flight = flight;
    this.#ttlMs = options.ttlMs;
    this.#fresh = fresh;
  }

  tag(tags: readonly string[]): void {
    checkTags(tags);
    this.#flight.addTags(tags);
  }

  /** Stores the result if no newer flight took over and nothing moved since the compute began. */
  land(value: unknown): boolean {
    const flight = this.#flight;
    const { space, key, born } = flight;
    const { settings, bypassed } = this.#host;
    const size = this.#table.measure(value);
    const stands = this.#detach() && flight.isFresh([]);
    const tags = flight.takeTags();
    const life =
      stands && !bypassed ? lifeOfResult(settings, value, this.#ttlMs, this.#fresh) : undefined;
    if (life !== undefined) return this.#table.put({ space, key, value, size, born, tags, life });
    // The newest answer is that there is nothing: what was there before must not outlive it.
    if (stands && value === undefined) this.#table.remove(space, key);
    this.#table.line.release(tags);
    return false;
  }

  leave(failure?: Failure): boolean {
    if (failure !== undefined && isAnswer(this.#fresh, failure.error)) return this.land(failure);
    this.#detach();
    this.#table.line.release(this.#flight.takeTags());
    return false;
  }

  #detach(): boolean {
    const { key, space } = this.#flight;
    return space.flights.get(key) === this.#flight && space.flights.delete(key);
  }
}
