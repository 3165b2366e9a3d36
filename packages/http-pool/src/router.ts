import type { IncomingHttpHeaders } from "node:http";
import type { ResolvedGroupOptions } from "./group-options.ts";
import { HashRing, loadBound } from "./hash-ring.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaSet } from "./replica-set.ts";
import { headerOf } from "./request-headers.ts";
import { SessionTable } from "./session-table.ts";

/** Where a request may go. */
export interface Route {
  /** It keeps to one upstream, also when it is sent again. */
  readonly sticky: boolean;
  /** Decides its upstream, unless that is known. */
  readonly key?: string;
  /** The upstream that holds its session. */
  readonly holder?: Replica;
  readonly session?: string;
}

const ANYWHERE: Route = { sticky: false };

/** Finds the upstream of a request: that of its session, that of its key, or what the balancer says. */
export class Router {
  readonly #options: ResolvedGroupOptions;
  readonly #set: ReplicaSet;
  readonly #sessions: SessionTable<Replica>;
  readonly #ring = new HashRing<Replica>();
  #ringStale = true;

  constructor(options: ResolvedGroupOptions, set: ReplicaSet) {
    this.#options = options;
    this.#set = set;
    this.#sessions = new SessionTable(options.maxSessions);
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Members came, left or changed their weight. */
  membersChanged(left?: Replica): void {
    this.#ringStale = true;
    if (left !== undefined) this.#sessions.forget(left);
  }

  route(request: PoolDispatchOptions): Route {
    const { affinityHeader, headers } = request;
    const session = affinityHeader === undefined ? undefined : headerOf(headers, affinityHeader);
    if (session !== undefined) {
      const holder = this.#holderOf(session);
      return { sticky: true, key: session, session, ...(holder && { holder }) };
    }
    if (this.#options.balance !== "hash") return ANYWHERE;
    const key = this.#options.hashKey(request);
    return key === undefined ? ANYWHERE : { sticky: !this.#options.hashFailover, key };
  }

  /** An upstream other than those in `tried`; undefined when there is none to which it may be sent now. */
  pick({ holder, key }: Route, tried: readonly Replica[]): Replica | undefined {
    if (holder !== undefined && !holder.removed)
      return holder.circuit.admits && !tried.includes(holder) ? holder : undefined;
    if (key !== undefined) return this.#pickByKey(key, tried);
    const allows = (replica: Replica): boolean => {
      return replica.circuit.admits && !tried.includes(replica);
    };
    return this.#set.pick({ nowMs: this.#options.now(), allows });
  }

  /** Remembers which upstream holds the session that an answer speaks of, and forgets those that ended. */
  learn(
    request: PoolDispatchOptions,
    { session }: Route,
    replica: Replica,
    statusCode: number,
    headers: IncomingHttpHeaders,
  ): void {
    const { affinityHeader, method } = request;
    if (affinityHeader === undefined) return;
    const given = headers[affinityHeader];
    const id = typeof given === "string" ? given : session;
    if (id === undefined || replica.removed) return;
    if (statusCode === 404 || (statusCode < 300 && method === "DELETE")) this.#sessions.delete(id);
    else if (statusCode < 400) this.#sessions.set(id, replica);
  }

  #holderOf(session: string): Replica | undefined {
    const holder = this.#sessions.get(session);
    if (holder?.unfitSince === undefined) return holder;
    const unfitMs = this.#options.now() - holder.unfitSince;
    // Elsewhere the session is not known, which tells the client to begin another.
    return unfitMs > this.#options.sessionGraceMs && !holder.draining ? undefined : holder;
  }

  #pickByKey(key: string, tried: readonly Replica[]): Replica | undefined {
    if (this.#ringStale) this.#ring.update(this.#set.all);
    this.#ringStale = false;
    const takes = (replica: Replica): boolean => {
      return this.#set.takes(replica) && !tried.includes(replica);
    };
    const factor = this.#options.hashLoadFactor;
    if (factor > this.#set.size) return this.#ring.find(key, takes);
    const total = { pending: 0, weight: 0 };
    for (const { pending, weight } of this.#set.all) {
      total.pending += pending;
      total.weight += weight;
    }
    const hasRoom = (replica: Replica): boolean => {
      return replica.pending < loadBound(factor, replica, total);
    };
    return (
      this.#ring.find(key, (replica) => takes(replica) && hasRoom(replica)) ??
      this.#ring.find(key, takes)
    );
  }
}
