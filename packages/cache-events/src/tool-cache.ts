import { having, integer, record } from "./checks.ts";
import { CacheOptionError, InvalidationError } from "./errors.ts";
import { isTags } from "./options.ts";
import { canonicalJson } from "./plain-json.ts";
import { isContentResult, shareableResult } from "./tool-result.ts";

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
  readonly signal?: AbortSignal;
}

export interface ToolCachePolicy {
  /** Only such tools are cached. */
  readonly readOnly?: boolean;
  /** One result for every principal. */
  readonly public?: boolean;
  readonly ttlMs?: number;
  readonly tags?: readonly string[] | ((args: unknown) => readonly string[]);
  /**
   * What a tool that is not read-only invalidates, before it runs and after; `result` is undefined before it ran and when it
   * threw. Left out: everything cached for the server. `[]`: nothing.
   */
  readonly invalidates?:
    | readonly string[]
    | ((args: unknown, result: unknown) => readonly string[]);
}

export interface ToolCacheOptions {
  /** The namespace of this server's entries. */
  readonly server?: string;
  readonly tools: Readonly<Record<string, ToolCachePolicy>>;
  /** Calls with longer arguments, as JSON, are not cached. */
  readonly maxArgumentChars?: number;
}

export type ToolRun<R> = (signal: AbortSignal | undefined) => R | Promise<R>;

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
    if (typeof server !== "string" || server === "")
      throw new CacheOptionError("server", "a string that is not empty", server);
    record("policies", isPolicy)("tools", tools);
    integer(0, 2 ** 20)("maxArgumentChars", maxArgumentChars);
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
   * @throws whatever `run` throws; InvalidationError when the store did not confirm what the tool invalidates.
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
    const key = this.#keyOf(policy, call);
    const tags = tagsOf(policy.tags, call.arguments);
    if (key === undefined || tags === undefined) return run(call.signal);
    return this.#read(key, tags, policy, call, run);
  }

  async #read<R extends object>(
    key: string,
    tags: readonly string[],
    { ttlMs }: ToolCachePolicy,
    { signal }: ToolCall,
    run: ToolRun<R>,
  ): Promise<R> {
    let own: R | undefined;
    let shared: object | undefined;
    try {
      shared = await this.#cache.getOrSet<object>(
        key,
        async (context) => {
          own = await run(context.signal);
          const copy = shareableResult(own);
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
    return { ...(shared as R) };
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
    return JSON.stringify([call.name, principal]) + args;
  }
}

/** Carries a result that must not be stored past the cache. */
class Unshared extends Error {
  readonly result: object;

  constructor(result: object) {
    super("the result is not shared");
    this.result = result;
  }
}

/** `undefined` when the policy cannot tell: then nothing could invalidate the entry. */
function tagsOf(tags: ToolCachePolicy["tags"], args: unknown): readonly string[] | undefined {
  return tags === undefined ? [] : told(() => (typeof tags === "function" ? tags(args) : tags));
}

/** `undefined` for everything: no policy, or one that cannot tell. */
function invalidated(
  invalidates: ToolCachePolicy["invalidates"],
  args: unknown,
  result: unknown,
): readonly string[] | undefined {
  if (invalidates === undefined) return undefined;
  return told(() => (typeof invalidates === "function" ? invalidates(args, result) : invalidates));
}

function told(tell: () => readonly string[]): readonly string[] | undefined {
  try {
    const tags = tell();
    return isTags(tags) ? tags : undefined;
  } catch {
    return undefined;
  }
}

function isPolicy(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
