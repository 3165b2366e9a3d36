import { randomUUID } from "node:crypto";
import { AskWatch } from "./ask-watch.ts";
import type { CacheHint } from "./cache-hints.ts";
import { authorsHint, hasHints, remainingHint } from "./cache-hints.ts";
import type { Check } from "./checks.ts";
import { checkOptions, checkText, having, typed } from "./checks.ts";
import { Claims } from "./claims.ts";
import { systemClock } from "./clock.ts";
import { CacheOptionError } from "./errors.ts";
import type { McpChange } from "./mcp-changes.ts";
import { watchChanges } from "./mcp-changes.ts";
import { reporter } from "./mcp-report.ts";
import type { Fields } from "./mcp-shapes.ts";
import {
  fields,
  innerOf,
  isAnswer,
  metaOf,
  namespaceOf,
  signalOf,
  versionOf,
} from "./mcp-shapes.ts";
import { override } from "./override.ts";
import { ownTag } from "./own-tags.ts";
import { canonicalJson } from "./plain-json.ts";
import { principalOfServer } from "./principal.ts";
import type { CacheableMethod, ResultPolicy } from "./result-policy.ts";
import { checkResultPolicies, shareableOf } from "./result-policy.ts";
import type { ToolCacheStore } from "./tool-cache.ts";
import { tagsOf } from "./tool-policy.ts";
import { ownResult, Unshared } from "./tool-result.ts";

type Handler = (request: unknown, context: unknown) => object | Promise<object>;
type Lookup = (method: string) => Handler | undefined;

/** What `cacheResults` needs of an EventCache. */
export interface ResultCacheStore extends ToolCacheStore {
  readonly bypassed?: boolean;
}

export interface CacheResultsOptions {
  /** Only what is named here is cached. */
  readonly results: Readonly<Partial<Record<CacheableMethod, ResultPolicy>>>;
  /** The namespace of this server's entries; by default made from the server's name, as for `cacheTools`. */
  readonly server?: string;
  /** Who makes a request, as for `cacheTools`. */
  readonly principal?: (context: unknown) => string | undefined | Promise<string | undefined>;
  /** Told of an invalidation that was not confirmed; by default a process warning. */
  readonly onError?: (error: unknown) => void;
  readonly now?: () => number;
}

const checks: Readonly<Record<keyof CacheResultsOptions, Check>> = {
  results: checkResultPolicies,
  server: checkText,
  principal: typed("function"),
  onError: typed("function"),
  now: typed("function"),
};

const claims = new Claims("results");
const maxParamChars = 16_384;

/**
 * Caches results of an `McpServer`, or of the `Server` beneath one, of either generation of the SDK: lists and resources that are
 * read. What the server announces by registering, updating, removing or notifying is invalidated at once. On protocol 2026-07-28
 * every cached result tells clients how long and for whom it is good. Disposing restores the server.
 *
 * @throws CacheOptionError when `server` is neither, or when `cache` caches its results already.
 */
export function cacheResults(
  server: object,
  cache: ResultCacheStore,
  options: CacheResultsOptions,
): Disposable {
  having("an EventCache", "getOrSet", "invalidateByTags")("cache", cache);
  checkOptions(options, checks);
  checkResultPolicies("results", options.results);
  const handlers = fields(innerOf(server))["_requestHandlers"];
  if (!(handlers instanceof Map))
    throw new CacheOptionError("server", "an McpServer or Server of the MCP SDK, 1 or 2", server);
  claims.check(server, cache);
  const results = new CachedResults(server, handlers, cache, options);
  const release = claims.take(server, cache);
  return {
    [Symbol.dispose]() {
      results.restore();
      release();
    },
  };
}

interface Kept {
  readonly result: Fields;
  readonly author: CacheHint;
  /** When the server began to make it. */
  readonly begunAt: number;
}

interface Asked {
  readonly method: CacheableMethod;
  readonly policy: ResultPolicy;
  readonly handler: Handler;
  readonly request: unknown;
  readonly context: unknown;
}

class CachedResults {
  readonly #server: object;
  readonly #cache: ResultCacheStore;
  readonly #policies: ReadonlyMap<string, ResultPolicy>;
  readonly #namespace: string;
  readonly #principal: NonNullable<CacheResultsOptions["principal"]>;
  readonly #report: (error: unknown) => void;
  readonly #now: () => number;
  readonly #watch: AskWatch;
  readonly #restores: readonly (() => void)[];
  /** What tells this server's lists from those of its replicas, once it changed one by itself. */
  readonly #variants = new Map<string, string>();
  #served = false;
  #active = true;

  constructor(
    server: object,
    handlers: object,
    cache: ResultCacheStore,
    options: CacheResultsOptions,
  ) {
    const { principal = principalOfServer(), onError, now = systemClock } = options;
    this.#server = server;
    this.#cache = cache;
    this.#policies = new Map(Object.entries(options.results));
    this.#namespace = options.server ?? namespaceOf(server);
    this.#principal = principal;
    this.#report = reporter(onError);
    this.#now = now;
    this.#watch = new AskWatch(server);
    this.#restores = [
      override<Lookup>(handlers, "get", (get) => (method) => {
        this.#served = true;
        return this.#cached(method, get.call(handlers, method));
      }),
      watchChanges(server, (change) => this.#changed(change)),
    ];
  }

  restore(): void {
    this.#active = false;
    this.#watch.restore();
    for (const restore of this.#restores) restore();
  }

  #cached(method: string, handler: Handler | undefined): Handler | undefined {
    const policy = this.#policies.get(method);
    if (policy === undefined || handler === undefined) return handler;
    return (request, context) =>
      this.#answer({ method: method as CacheableMethod, policy, handler, request, context });
  }

  async #answer(asked: Asked): Promise<object> {
    const { policy, handler, request, context } = asked;
    const alone = (): object | Promise<object> => handler(request, context);
    if (!this.#active || this.#cache.bypassed === true || isAnswer(context)) return alone();
    const { _meta, ...params } = fields(fields(request)["params"]);
    const uri = typeof params["uri"] === "string" ? params["uri"] : "";
    if (!matches(policy, uri)) return alone();
    const who = policy.public === true ? "" : await this.#principal(context);
    const key = canonicalJson(params, maxParamChars);
    const tags = tagsOf(policy.tags, uri);
    if (who === undefined || key === undefined || tags === undefined) return alone();
    if (typeof who !== "string") throw new CacheOptionError("principal", "a string", who);
    return this.#read(asked, [who, key], [...tags, ...this.#ownTags(asked.method, uri)]);
  }

  async #read(asked: Asked, key: readonly string[], tags: readonly string[]): Promise<object> {
    const { method, policy, handler, request, context } = asked;
    const { ttlMs = 60_000 } = policy;
    const signal = signalOf(context);
    let own: object | undefined;
    let kept: Kept;
    try {
      kept = await this.#cache.getOrSet<Kept>(
        JSON.stringify([method, policy.public === true, this.#variantOf(method), ...key]),
        async ({ signal: ending }) => {
          const begunAt = this.#now();
          const { result, asked: personal } = await this.#watch.run(context, ending, (forRun) =>
            handler(request, forRun),
          );
          own = result;
          const author = authorsHint(fields(result));
          // What its author calls private is not for everyone, whatever the policy says.
          const unshared = personal || (policy.public === true && author.cacheScope === "private");
          const copy = unshared ? undefined : shareableOf(method, fields(result), metaOf(context));
          if (copy === undefined) throw new Unshared(result);
          return { result: copy, author, begunAt };
        },
        { tags, namespace: this.#namespace, ttlMs, ...(signal === undefined ? {} : { signal }) },
      );
    } catch (error) {
      if (!(error instanceof Unshared)) throw error;
      // Another call's result is not this one's.
      return own ?? handler(request, context);
    }
    const result = ownResult(kept.result, own);
    if (!hasHints(this.#server)) return result;
    const ageMs = this.#now() - kept.begunAt;
    return { ...result, ...remainingHint(kept.author, ageMs, ttlMs, policy.public === true) };
  }

  /** Before the first request nothing has been kept that a registration could make old. */
  async #changed({ kind, uri }: McpChange): Promise<void> {
    if (!this.#active || !this.#served) return;
    if (kind !== "resource") this.#variants.set(kind, randomUUID());
    const tag = kind === "resource" ? this.#tag("resource", uri ?? "") : this.#tag(kind);
    try {
      await this.#cache.invalidateByTags([tag]);
    } catch (error) {
      this.#report(error);
    }
  }

  #variantOf(method: CacheableMethod): string {
    return `${versionOf(this.#server)} ${this.#variants.get(kindOf(method)) ?? ""}`;
  }

  #ownTags(method: CacheableMethod, uri: string): readonly string[] {
    const tag = this.#tag(kindOf(method));
    return method === "resources/read" ? [tag, this.#tag("resource", uri)] : [tag];
  }

  #tag(...of: readonly string[]): string {
    return ownTag(this.#namespace, ...of);
  }
}

/** What cannot tell does not match. */
function matches(policy: ResultPolicy, uri: string): boolean {
  try {
    return policy.matches?.(uri) ?? true;
  } catch {
    return false;
  }
}

function kindOf(method: CacheableMethod): string {
  return method.slice(0, method.indexOf("/"));
}
