import { checkTags } from "./checks.ts";
import { CacheOptionError } from "./errors.ts";
import type { ComputeContext } from "./flight.ts";
import { LoadScope, currentScope, inside } from "./load-scope.ts";

export interface BatchContext<K extends string> {
  /** Aborts when no reader waits for any of the keys any more, on `loadTimeoutMs`, and when the cache is closed. */
  readonly signal: AbortSignal;
  /** Adds tags to one of the keys. */
  readonly tag: (key: K, ...tags: string[]) => void;
}

/** The values of `keys`, in their order or by key. A key without a value, or with `undefined`, has none. */
export type ComputeMany<K extends string, V> = (
  keys: readonly K[],
  context: BatchContext<K>,
) => BatchResult<K, V> | Promise<BatchResult<K, V>>;

export type BatchResult<K extends string, V> = readonly (V | undefined)[] | ReadonlyMap<K, V>;

interface Member {
  readonly context: ComputeContext;
  readonly scope: LoadScope | undefined;
  readonly outcome: PromiseWithResolvers<unknown>;
}

/**
 * Makes one compute of many. Each key has a flight of its own, which single reads may join; what their computes ask for is
 * gathered until `flush`, and from then on as long as one turn of the event loop brings more.
 */
export class Batch<K extends string> {
  readonly #compute: ComputeMany<K, unknown>;
  #members = new Map<K, Member>();
  #gathering = true;

  constructor(compute: ComputeMany<K, unknown>) {
    this.#compute = compute;
  }

  /** The compute of one key. */
  add(key: K, context: ComputeContext): Promise<unknown> {
    const outcome = Promise.withResolvers<unknown>();
    if (this.#members.size === 0 && !this.#gathering) setImmediate(() => this.flush());
    this.#members.set(key, { context, scope: currentScope(), outcome });
    return outcome.promise;
  }

  flush(): void {
    this.#gathering = false;
    const members = this.#members;
    this.#members = new Map();
    if (members.size > 0) void this.#run(members);
  }

  async #run(members: ReadonlyMap<K, Member>): Promise<void> {
    const scope = scopeOf(this, members);
    const keys = [...members.keys()];
    const context = new Context(members);
    try {
      const result = await inside(scope, (given) => this.#compute(keys, given), context);
      const valueOf = lookup(keys, result);
      for (const [index, [key, { outcome }]] of [...members].entries())
        outcome.resolve(valueOf(key, index));
    } catch (error) {
      for (const { outcome } of members.values()) outcome.reject(error);
    } finally {
      scope?.end();
    }
  }
}

/** All of its keys wait for a batch; `undefined` when cycles are not looked for. */
function scopeOf(owner: object, members: ReadonlyMap<string, Member>): LoadScope | undefined {
  const waiting = [...members.values()].flatMap(({ scope }) => scope ?? []);
  if (waiting.length === 0) return undefined;
  const scope = new LoadScope(owner, "", undefined);
  for (const waiter of waiting) scope.add(waiter);
  return scope;
}

/** As in a single compute, the signal is made when it is first asked for. */
class Context<K extends string> implements BatchContext<K> {
  readonly tag: BatchContext<K>["tag"];
  readonly #members: ReadonlyMap<K, Member>;
  #signal: AbortSignal | undefined;

  constructor(members: ReadonlyMap<K, Member>) {
    this.#members = members;
    this.tag = tagger(members);
  }

  get signal(): AbortSignal {
    return (this.#signal ??= lastOf(this.#members));
  }
}

/** Aborts when the signals of all have. */
function lastOf(members: ReadonlyMap<string, Member>): AbortSignal {
  const controller = new AbortController();
  let left = members.size;
  for (const { context } of members.values()) {
    const { signal } = context;
    const leave = (): void => {
      if (--left === 0) controller.abort(signal.reason);
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  }
  return controller.signal;
}

function tagger<K extends string>(
  members: ReadonlyMap<K, Member>,
): (key: K, ...tags: string[]) => void {
  return (key, ...tags) => {
    checkTags(tags);
    const member = members.get(key);
    if (member === undefined)
      throw new CacheOptionError("key", "one of the keys being computed", key);
    member.context.tag(...tags);
  };
}

/** @throws CacheOptionError when the result is neither a Map nor an array as long as the keys */
function lookup<K extends string>(
  keys: readonly K[],
  result: unknown,
): (key: K, index: number) => unknown {
  if (result instanceof Map) return (key) => result.get(key);
  if (Array.isArray(result) && result.length === keys.length) return (_key, index) => result[index];
  const length = Array.isArray(result) ? ` (of ${result.length})` : "";
  throw new CacheOptionError(
    "computeMany",
    `to return a Map or an array of ${keys.length}${length}`,
    result,
  );
}
