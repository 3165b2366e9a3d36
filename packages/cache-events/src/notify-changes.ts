import type { InvalidateEvent } from "./cache-events.ts";
import type { ChangeSender } from "./change-senders.ts";
import { senderTo } from "./change-senders.ts";
import type { Check } from "./checks.ts";
import { checkOptions, having, integer, number, typed } from "./checks.ts";
import { CacheOptionError, NotifyError } from "./errors.ts";
import type { ListKind } from "./mcp-changes.ts";
import { reporter } from "./mcp-report.ts";
import { isOwnTag } from "./own-tags.ts";
import type { Timers } from "./timers.ts";
import { maxDelayMs, systemTimers, within } from "./timers.ts";

export interface ChangeTargets {
  /** URIs of resources that clients may have subscribed to. */
  readonly resources?: readonly string[];
  readonly lists?: readonly ListKind[];
}

export interface NotifyChangesOptions {
  /**
   * What has changed for clients when a tag is invalidated. A function gets `undefined` for an invalidation that is not by tags; of
   * an object everything has changed then.
   */
  readonly notify:
    | Readonly<Record<string, ChangeTargets>>
    | ((tag: string | undefined) => ChangeTargets | undefined);
  /** Changes within this time are told together; 0: those of one tick. */
  readonly delayMs?: number;
  /** Resources that one client may subscribe to, and that may wait to be told of. */
  readonly maxSubscriptions?: number;
  /** How long one notification may take. */
  readonly sendTimeoutMs?: number;
  /** By default a process warning. */
  readonly onError?: (error: unknown) => void;
  readonly timers?: Timers;
}

/** What `notifyChanges` needs of an EventCache. */
export interface NotifyingCache {
  on(name: "invalidate", listener: (event: InvalidateEvent) => void): unknown;
  off(name: "invalidate", listener: (event: InvalidateEvent) => void): unknown;
}

const checks: Readonly<Record<keyof NotifyChangesOptions, Check>> = {
  notify: checkNotify,
  delayMs: number(0, 60_000),
  maxSubscriptions: integer(1, 100_000),
  sendTimeoutMs: number(1, maxDelayMs),
  onError: typed("function"),
  timers: having("an object", "set", "clear"),
};

/**
 * Turns invalidations into `list_changed` and `resources/updated` notifications: through an `McpServer` or `Server` of either
 * generation of the SDK, or through what `createMcpHandler` returns. Of resources only those are told that the client subscribed to.
 * Disposing ends it.
 *
 * @throws CacheOptionError
 */
export function notifyChanges(
  target: object,
  cache: NotifyingCache,
  options: NotifyChangesOptions,
): Disposable {
  having("an EventCache", "on", "off")("cache", cache);
  checkOptions(options, checks);
  checkNotify("notify", options.notify);
  const sender = senderTo(target, options.maxSubscriptions ?? 1_000);
  const changes = new Changes(sender, options);
  const heard = (event: InvalidateEvent): void => changes.heard(event);
  cache.on("invalidate", heard);
  return {
    [Symbol.dispose]() {
      cache.off("invalidate", heard);
      changes.close();
    },
  };
}

/** What waits to be told keeps the process alive. */
const batchTimers: Timers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

class Changes {
  readonly #sender: ChangeSender;
  readonly #notify: NotifyChangesOptions["notify"];
  readonly #delayMs: number;
  readonly #max: number;
  readonly #sendTimeoutMs: number;
  readonly #report: (error: unknown) => void;
  readonly #timers: Timers;
  readonly #batchTimers: Timers;
  readonly #lists = new Set<ListKind>();
  readonly #uris = new Set<string>();
  #timer: unknown;
  #sending = false;
  #overflowed = false;
  #closed = false;

  constructor(sender: ChangeSender, options: NotifyChangesOptions) {
    const { onError, timers } = options;
    this.#sender = sender;
    this.#notify = options.notify;
    this.#delayMs = options.delayMs ?? 0;
    this.#max = options.maxSubscriptions ?? 1_000;
    this.#sendTimeoutMs = options.sendTimeoutMs ?? 30_000;
    this.#report = reporter(onError);
    this.#timers = timers ?? systemTimers;
    this.#batchTimers = timers ?? batchTimers;
  }

  heard({ kind, tags, namespace }: InvalidateEvent): void {
    // One key, or a client's own responses, are nothing that a server's clients know of.
    if (this.#closed || kind === "key" || namespace?.startsWith("mcp-client:") === true) return;
    try {
      if (tags === undefined) this.#addAll();
      else for (const tag of tags) if (!isOwnTag(tag)) this.#add(this.#targetsOf(tag));
    } catch (error) {
      this.#report(error);
    }
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    this.#lists.clear();
    this.#uris.clear();
    if (this.#timer !== undefined) this.#batchTimers.clear(this.#timer);
    this.#timer = undefined;
    this.#sender.restore();
  }

  #targetsOf(tag: string | undefined): ChangeTargets | undefined {
    const notify = this.#notify;
    if (typeof notify === "function") {
      const targets = notify(tag);
      if (targets !== undefined) checkTargets("notify", targets);
      return targets;
    }
    return tag !== undefined && Object.hasOwn(notify, tag) ? notify[tag] : undefined;
  }

  #addAll(): void {
    if (typeof this.#notify === "function") this.#add(this.#targetsOf(undefined));
    else for (const targets of Object.values(this.#notify)) this.#add(targets);
  }

  #add({ resources = [], lists = [] }: ChangeTargets = {}): void {
    for (const kind of lists) this.#lists.add(kind);
    for (const uri of resources) {
      if (this.#uris.has(uri) || !this.#sender.wants(uri)) continue;
      if (this.#uris.size < this.#max) this.#uris.add(uri);
      else this.#overflow();
    }
  }

  /** Clients that list resources again come to those of which they could not be told. */
  #overflow(): void {
    if (this.#overflowed) return;
    this.#overflowed = true;
    this.#lists.add("resources");
    this.#report(
      new NotifyError(`more than maxSubscriptions = ${this.#max} resources changed at once`),
    );
  }

  #schedule(): void {
    if (this.#lists.size === 0 && this.#uris.size === 0) return;
    if (this.#closed || this.#sending || this.#timer !== undefined) return;
    this.#timer = this.#batchTimers.set(() => {
      this.#timer = undefined;
      void this.#send();
    }, this.#delayMs);
  }

  /** One batch at a time: what changes meanwhile waits, each thing once. */
  async #send(): Promise<void> {
    const lists = [...this.#lists];
    const uris = [...this.#uris];
    this.#lists.clear();
    this.#uris.clear();
    this.#overflowed = false;
    this.#sending = true;
    await Promise.all([
      ...lists.map((kind) => this.#try(`the list of ${kind}`, () => this.#sender.list(kind))),
      ...uris.map((uri) => this.#try(uri, () => this.#sender.resource(uri))),
    ]);
    this.#sending = false;
    this.#schedule();
  }

  async #try(what: string, send: () => unknown): Promise<void> {
    const late = (): Error =>
      new NotifyError(`the client was not told of ${what} within ${this.#sendTimeoutMs} ms`);
    try {
      await within(Promise.resolve(send()), this.#timers, this.#sendTimeoutMs, late);
    } catch (cause) {
      const error =
        cause instanceof NotifyError
          ? cause
          : new NotifyError(`the client was not told of ${what}`, { cause });
      if (!this.#closed) this.#report(error);
    }
  }
}

const kinds: readonly unknown[] = ["tools", "prompts", "resources"] satisfies readonly ListKind[];

function checkNotify(name: string, notify: unknown): void {
  if (typeof notify === "function") return;
  if (typeof notify !== "object" || notify === null || Array.isArray(notify))
    throw new CacheOptionError(name, "an object by tags, or a function of a tag", notify);
  for (const [tag, targets] of Object.entries(notify)) checkTargets(`${name}.${tag}`, targets);
}

function checkTargets(name: string, targets: unknown): void {
  checkOptions(targets, { resources: checkUris, lists: checkKinds }, `${name}.`);
}

function checkUris(name: string, uris: unknown): void {
  if (!Array.isArray(uris) || uris.some((uri) => typeof uri !== "string" || uri === ""))
    throw new CacheOptionError(name, "an array of URIs", uris);
}

function checkKinds(name: string, lists: unknown): void {
  if (!Array.isArray(lists) || lists.some((kind) => !kinds.includes(kind)))
    throw new CacheOptionError(name, 'an array of "tools", "prompts" and "resources"', lists);
}
