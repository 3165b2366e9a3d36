import type { Dispatcher } from "undici";
import { InvalidArgumentError, PoolClosedError } from "./errors.ts";
import { GroupCore } from "./group-core.ts";
import type { GroupEvents } from "./group-events.ts";
import { GroupExchange } from "./group-exchange.ts";
import { groupFamilies } from "./group-families.ts";
import { checkWeight, resolveGroupOptions, resolveUpstream } from "./group-options.ts";
import type { ResolvedUpstream, UpstreamGroupOptions, UpstreamOptions } from "./group-options.ts";
import { groupStatsOf, sumTotals, totalsOf } from "./group-stats.ts";
import type { UpstreamGroupStats, UpstreamTotals } from "./group-stats.ts";
import type { MetricFamily } from "./metric-families.ts";
import { parseOrigin } from "./options.ts";
import { PoolDispatcher } from "./pool-dispatcher.ts";
import { PoolRelay } from "./pool-relay.ts";
import { countsOnly } from "./pool-stats.ts";
import { nameOf } from "./prepare-dispatch.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import type { Replica } from "./replica.ts";
import { headerOf, withHeader } from "./request-headers.ts";
import { UpstreamLabels } from "./upstream-labels.ts";

type Upstream = string | URL | UpstreamOptions;

/**
 * Several upstreams that do the same, behind one dispatcher: each request goes to one that is fit, and, if it
 * may be sent twice, on to another when that one fails.
 */
export class UpstreamGroup extends PoolDispatcher<GroupEvents> {
  readonly #core: GroupCore;
  readonly #labels: UpstreamLabels;
  readonly #relay: PoolRelay;
  /** Were removed, and close. */
  readonly #closing = new Set<Replica>();
  /** What upstreams that are gone have counted, by label, so that counters never fall. */
  readonly #gone = new Map<string, UpstreamTotals>();
  #ending = false;

  /** @throws InvalidArgumentError naming the first argument that is wrong */
  constructor(upstreams: readonly Upstream[], options: UpstreamGroupOptions = {}) {
    super();
    if (!Array.isArray(upstreams))
      throw new InvalidArgumentError("upstreams", "an array of origins", upstreams);
    const resolved = resolveGroupOptions(options, ({ headers }) => headerOf(headers, SESSION));
    const all = upstreams.map((upstream: Upstream) => resolveUpstream(upstream));
    const name = resolved.origin?.origin ?? all[0]?.origin.origin;
    if (name === undefined)
      throw new InvalidArgumentError("upstreams", "at least one, or the option origin", "none");
    this.#core = new GroupCore(name, resolved, (event, value) => this.send(event, value));
    this.#labels = new UpstreamLabels(resolved.maxUpstreams);
    this.#relay = new PoolRelay(
      this,
      () => this.#pools(),
      (event, value) => this.send(event, value),
    );
    for (const upstream of all) this.#add(upstream);
  }

  /** What requests are addressed to. */
  get origin(): string {
    return this.#core.name;
  }

  /**
   * Takes requests at once, few at first.
   * @throws InvalidArgumentError also when it is there already, or there are `maxUpstreams`
   */
  add(upstream: Upstream): void {
    if (this.#ending) throw new PoolClosedError(this.origin);
    this.#core.health.startSlowly(this.#add(resolveUpstream(upstream)));
  }

  /**
   * Takes no new requests and no sessions any more; resolves when those under way have ended.
   * @throws InvalidArgumentError when it is not there
   */
  async remove(upstream: string | URL): Promise<void> {
    const replica = this.#find(upstream);
    replica.removed = true;
    replica[Symbol.dispose]();
    this.#core.set.delete(replica);
    this.#core.router.membersChanged(replica);
    this.#closing.add(replica);
    await replica.pool.close();
    this.#closing.delete(replica);
    const label = this.#labels.of(replica.upstream);
    const totals = totalsOf(replica);
    const before = this.#gone.get(label);
    const after = { ...totals, ...countsOnly(totals) };
    this.#gone.set(label, before === undefined ? after : sumTotals([before, after]));
  }

  /**
   * Its share from now on.
   * @throws InvalidArgumentError
   */
  setWeight(upstream: string | URL, weight: number): void {
    this.#find(upstream).weight = checkWeight(weight);
    this.#core.router.membersChanged();
    this.#core.set.changed();
  }

  /**
   * Takes no new requests but those of its sessions; resolves when none is under way. `add` it again, after
   * `remove`, to use it again.
   * @throws InvalidArgumentError when it is not there
   */
  drain(upstream: string | URL): Promise<void> {
    const replica = this.#find(upstream);
    replica.draining = true;
    this.#core.set.changed();
    return replica.pool.drain();
  }

  /**
   * Opens connections to every upstream until `count` are open to each; as many as `minIdle`, at least one, by
   * default.
   * @throws InvalidArgumentError, UpstreamUnavailableError, AddressNotAllowedError
   */
  async warmUp(count?: number): Promise<void> {
    if (this.#ending) throw new PoolClosedError(this.origin);
    await Promise.all(this.#core.set.all.map(({ pool }) => pool.warmUp(count)));
  }

  stats(): UpstreamGroupStats {
    const { set, router, retries, report, options } = this.#core;
    const { usable, panic } = set;
    const levels = { usable, panic, sessions: router.sessions, retryBudget: retries.balance };
    const gone = [
      ...this.#gone.values(),
      ...[...this.#closing].map((replica) => totalsOf(replica)),
    ];
    return groupStatsOf(set.all, gone, levels, report.counters, options.now());
  }

  metricFamilies(): readonly MetricFamily[] {
    return groupFamilies(
      () => this.stats(),
      () => this.#totals(),
      this.#labels.of,
    );
  }

  protected override accept(
    options: PoolDispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    if (typeof options !== "object" || options === null)
      throw new InvalidArgumentError("options", "an object", options);
    if (this.#ending) throw new PoolClosedError(this.origin);
    this.#checkOrigin(options.origin);
    return new GroupExchange(this.#core, this.#address(options), handler).begin();
  }

  protected override async end(): Promise<void> {
    this.#finish(new PoolClosedError(this.origin));
    await Promise.all(this.#pools().map((pool) => pool.close()));
  }

  protected override async kill(reason: Error = new PoolClosedError(this.origin)): Promise<void> {
    this.#finish(reason);
    await Promise.all(this.#pools().map((pool) => pool.destroy(reason)));
  }

  #finish(reason: Error): void {
    this.#ending = true;
    this.#core[Symbol.dispose]();
    for (const exchange of this.#core.delayed) exchange.giveUp(reason);
  }

  /** By label, those that are gone included. */
  #totals(): Map<string, UpstreamTotals> {
    const all = [...this.#core.set.all, ...this.#closing].map((replica) => {
      return [this.#labels.of(replica.upstream), totalsOf(replica)] as const;
    });
    const groups = Map.groupBy([...this.#gone, ...all], ([label]) => label);
    return new Map(
      Array.from(groups, ([label, pairs]) => [label, sumTotals(pairs.map(([, one]) => one))]),
    );
  }

  #pools(): Replica["pool"][] {
    return [...this.#core.set.all, ...this.#closing].map(({ pool }) => pool);
  }

  #add({ origin, weight, zone }: ResolvedUpstream): Replica {
    const { set, router, options } = this.#core;
    if (set.get(origin.origin) !== undefined)
      throw new InvalidArgumentError("upstream", "one that is not in the group", origin.origin);
    if (set.size >= options.maxUpstreams)
      throw new InvalidArgumentError("upstream", `at most ${options.maxUpstreams}`, set.size + 1);
    const replica = this.#core.createReplica(origin, weight, zone);
    this.#labels.of(replica.upstream);
    this.follow(replica.pool);
    this.#relay.add(replica.pool);
    set.add(replica);
    router.membersChanged();
    replica.prober?.wake();
    return replica;
  }

  #find(upstream: string | URL): Replica {
    const { origin } = parseOrigin("upstream", upstream);
    const replica = this.#core.set.get(origin);
    if (replica === undefined)
      throw new InvalidArgumentError("upstream", "one that is in the group", origin);
    return replica;
  }

  #checkOrigin(origin: string | URL | null | undefined): void {
    if (origin === undefined || origin === null || origin === this.origin) return;
    const given = URL.parse(String(origin))?.origin ?? "no URL";
    const isMember = this.#core.options.origin === undefined && this.#core.set.get(given);
    if (given !== this.origin && !isMember)
      throw new InvalidArgumentError("origin", `${this.origin}, the group's`, given);
  }

  /** With an origin of its own, the group's upstreams see that in `Host` and TLS. */
  #address(given: PoolDispatchOptions): PoolDispatchOptions {
    const options = withAffinity(given);
    const { origin } = this.#core.options;
    if (origin === undefined) return options;
    const headers = withHeader(options.headers, "host", origin.host);
    const servername = nameOf(origin);
    return { ...(servername && { servername }), ...options, ...(headers && { headers }) };
  }
}

/** Node gives the names of an answer's headers in lower case. */
function withAffinity(options: PoolDispatchOptions): PoolDispatchOptions {
  const { affinityHeader: name } = options;
  if (name === undefined) return options;
  if (typeof name !== "string" || name === "")
    throw new InvalidArgumentError("affinityHeader", "the name of a header", name);
  const affinityHeader = name.toLowerCase();
  return affinityHeader === name ? options : { ...options, affinityHeader };
}

const SESSION = "mcp-session-id";
