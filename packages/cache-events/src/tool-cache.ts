import type { Check } from "./checks.ts";
import { checkOptions, checkText, having, integer } from "./checks.ts";
import { CacheOptionError, InvalidationError } from "./errors.ts";
import { canonicalJson } from "./plain-json.ts";
import type { ToolCachePolicy } from "./tool-policy.ts";
import { checkToolPolicies, invalidated, tagsOf } from "./tool-policy.ts";
import { isContentResult, ownResult, shareableResult, Unshared } from "./tool-result.ts";

/** What a ToolCache needs of an EventCache. */
export interface ToolCacheStore {
  getOrSet<V>(
    key: string,
    compute: (context: { readonly signal: AbortSignal }) => V | Promise<V>,
    options: {
      readonly tags: readonly string[];
      readonly namespace: string;
      readonly ttlMs?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<V>;
  invalidateByTags(tags: readonly string[]): Promise<void>;
  clear(selection: { readonly namespace: string }): Promise<void>;
}

export interface ToolCall {
  readonly name: string;
  readonly arguments?: unknown;
  /** Who asks. Results are never shared between principals, unless the tool is public. */
  readonly principal?: string;
  /** What else tells results apart, such as the version of the server. */
  readonly variant?: string;
  /** The `_meta` of the request: what a result repeats of it is for this caller alone. */
  readonly meta?: object;
  readonly signal?: AbortSignal;
}

export interface ToolCacheOptions {
  /** The namespace of this server's entries. */
  readonly server?: string;
  readonly tools: Readonly<Record<string, ToolCachePolicy>>;
  /** Calls with longer arguments, as JSON, are not cached. */
  readonly maxArgumentChars?: number;
}

export type ToolRun<R> = (signal: AbortSignal | undefined) => R | Promise<R>;

const checks: Readonly<Record<keyof ToolCacheOptions, Check>> = {
  server: checkText,
  tools: (_name, value) => checkToolPolicies(value),
  maxArgumentChars: integer(0, 2 ** 20),
};

/** Caches the results of tool calls by a policy for each tool. */
export class ToolCache {
  readonly #cache: ToolCacheStore;
  readonly #server: string;
  readonly #policies: ReadonlyMap<string, ToolCachePolicy>;
  readonly #maxArgumentChars: number;

  /** @throws CacheOptionError */
  constructor(cache: ToolCacheStore, options: ToolCacheOptions) {
    const { server = "mcp", tools, maxArgumentChars = 16_384 } = options;
    having("an EventCache", "getOrSet", "invalidateByTags", "clear")("cache", cache);
    checkOptions(options, checks);
    checkToolPolicies(tools);
    this.#cache = cache;
    this.#server = server;
    this.#policies = new Map(Object.entries(tools));
    this.#maxArgumentChars = maxArgumentChars;
  }

  policyOf(name: string): ToolCachePolicy {
    return this.#policies.get(name) ?? {};
  }

  /**
   * Answers from the cache or runs the tool. A shared result is a fresh object with frozen content.
   *
   * @throws CacheOptionError when the principal is not a string; whatever `run` throws; InvalidationError when the store did not confirm what the tool invalidates.
   */
  call<R extends object>(call: ToolCall, run: ToolRun<R>): Promise<R> {
    return this.callWith(this.policyOf(call.name), call, run);
  }

  /** `call` with a policy made for this call. */
  async callWith<R extends object>(
    policy: ToolCachePolicy,
    call: ToolCall,
    run: ToolRun<R>,
  ): Promise<R> {
    if (policy.readOnly !== true) return this.#mutate(policy, call, run);
    const { principal } = call;
    if (principal !== undefined && typeof principal !== "string")
      throw new CacheOptionError("principal", "a string", principal);
    const key = this.#keyOf(policy, call);
    const tags = tagsOf(policy.tags, call.arguments);
    if (key === undefined || tags === undefined) return run(call.signal);
    return this.#read(key, tags, policy, call, run);
  }

  async #read<R extends object>(
    key: string,
    tags: readonly string[],
    { ttlMs }: ToolCachePolicy,
    { signal, meta }: ToolCall,
    run: ToolRun<R>,
  ): Promise<R> {
    let own: R | undefined;
    let shared: object | undefined;
    try {
      shared = await this.#cache.getOrSet<object>(
        key,
        async (context) => {
          own = await run(context.signal);
          const copy = shareableResult(own, meta);
          if (copy === undefined) throw new Unshared(own);
          return copy;
        },
        {
          tags,
          namespace: this.#server,
          ...(ttlMs === undefined ? {} : { ttlMs }),
          ...(signal === undefined ? {} : { signal }),
        },
      );
    } catch (error) {
      if (!(error instanceof Unshared)) throw error;
      if (own !== undefined) return own;
      // Another call's compute. An error is an answer to both; a question to that call's client is not.
      return isContentResult(error.result) ? { ...(error.result as R) } : run(signal);
    }
    return ownResult(shared as R, own);
  }

  async #mutate<R extends object>(
    { invalidates }: ToolCachePolicy,
    { arguments: args, signal }: ToolCall,
    run: ToolRun<R>,
  ): Promise<R> {
    const before = invalidated(invalidates, args, undefined);
    await this.#invalidate(before);
    let result: R;
    try {
      result = await run(signal);
    } catch (error) {
      await this.#invalidate(before).catch(() => {});
      throw error;
    }
    const after = invalidated(invalidates, args, result);
    await this.#invalidate(before && after && [...before, ...after]).catch((error: unknown) => {
      throw InvalidationError.afterWrite(error);
    });
    return result;
  }

  async #invalidate(tags: readonly string[] | undefined): Promise<void> {
    if (tags === undefined) await this.#cache.clear({ namespace: this.#server });
    else if (tags.length > 0) await this.#cache.invalidateByTags([...new Set(tags)]);
  }

  #keyOf(policy: ToolCachePolicy, call: ToolCall): string | undefined {
    const args = canonicalJson(call.arguments ?? null, this.#maxArgumentChars);
    if (args === undefined) return undefined;
    const principal = policy.public === true ? null : (call.principal ?? "");
    return JSON.stringify([call.name, principal, call.variant ?? ""]) + args;
  }
}
