import { StoreError } from "./errors.ts";
import type { RedisClientLike } from "./redis-client.ts";
import { duplicateOf } from "./redis-client.ts";
import type { Timers } from "./timers.ts";
import { within } from "./timers.ts";

export interface ConnectionOptions {
  readonly client: RedisClientLike;
  readonly leaseMs: number;
  readonly connectTimeoutMs: number;
  readonly maxPending: number;
  readonly now: () => number;
  readonly timers: Timers;
}

export interface ConnectionUse {
  /** Names beginning so are tracked: `changed` hears of them, and of `undefined` when anything may have changed. */
  readonly tracked?: string;
  readonly changed?: (name: string | undefined) => void;
  /** Whether a heartbeat watches the link; without one the user of the connection must. */
  readonly heartbeat: boolean;
  /** Called once, in the turn in which the connection ends. */
  readonly lost: (error: Error) => void;
}

/**
 * One connection to one history of one server, from its handshake to its first failure. A server that became a replica may have
 * thrown away what it wrote last, though its process goes on: while it is a primary, its `master_replid` is one that no server had
 * before, and it has another one when it is a primary again. It also has another one when its first replica attaches.
 */
export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #use: ConnectionUse;
  readonly #client: RedisClientLike;
  #history = "";
  #replication = "";
  #vouching: Promise<void> | undefined;
  #waiting = 0;
  #answeredMs = -Infinity;
  #beatSentMs: number | undefined;
  #timer: unknown;
  #ended: Error | undefined;
  #readyMs = Infinity;

  constructor(options: ConnectionOptions, use: ConnectionUse) {
    this.#options = options;
    this.#use = use;
    this.#client = duplicateOf(options.client, {
      tracking: use.tracked !== undefined,
      maxPending: options.maxPending,
      connectTimeoutMs: options.connectTimeoutMs,
    });
    this.#client.on("error", (error: unknown) => this.drop(error));
    this.#client.on("invalidate", (name) => {
      use.changed?.(name === null ? undefined : (name as string | Buffer).toString());
    });
  }

  /** @throws StoreError when it is not ready within `connectTimeoutMs`, or is one to a replica. */
  async open(): Promise<void> {
    const { timers, connectTimeoutMs } = this.#options;
    const late = (): Error =>
      new StoreError(`Redis was not ready within ${connectTimeoutMs} ms`, { reason: "timeout" });
    try {
      await within(this.#setUp(), timers, connectTimeoutMs, late);
    } catch (error) {
      this.drop(error);
    }
    if (this.#ended !== undefined) throw this.#ended;
    this.#readyMs = this.#options.now();
    if (this.#use.heartbeat) this.#beat();
  }

  /** Identifies the server's process and its replication history: a restart, or a failover, may have lost what was written last. */
  get history(): string {
    return this.#history;
  }

  /** When the latest command that has been answered was sent: everything pushed before then has arrived. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  /** Whether it has answered for long enough to count as sound. */
  get proven(): boolean {
    return this.#answeredMs - this.#readyMs >= this.#options.leaseMs / 3;
  }

  /** @throws StoreError when `maxPending` commands wait already. */
  async send(args: string[]): Promise<unknown> {
    const { maxPending } = this.#options;
    if (this.#waiting >= maxPending)
      throw new StoreError(`the queue is full: ${maxPending} commands wait for an answer`);
    this.#waiting++;
    try {
      return await this.#sendNow(args);
    } finally {
      this.#waiting--;
    }
  }

  /**
   * The reply of a server that was in `history` when it gave it; the question costs no other round trip. A history never comes back,
   * so a command that was sent after it was first seen and carried out before it is seen again was carried out within it. Asked
   * before the command only, the server may have changed in between; asked after it only, the reply may be of the history before.
   *
   * @throws StoreError, and the connection ends, when the server has another history by then or is a replica.
   */
  async sendVouched(args: string[]): Promise<unknown> {
    const [reply] = await Promise.all([this.send(args), this.#vouch()]);
    return reply;
  }

  /** Lets the process end while this connection is open. */
  unref(): void {
    this.#client.unref();
  }

  /** Ends it; every command that is not answered rejects. */
  drop(cause: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = cause instanceof Error ? cause : new StoreError(String(cause));
    this.#options.timers.clear(this.#timer);
    this.#use.lost(this.#ended);
    this.#destroy();
  }

  async #setUp(): Promise<void> {
    await this.#client.connect();
    if (this.#ended !== undefined) return this.#destroy();
    const { tracked } = this.#use;
    // Without NOLOOP, which Redis does not heed for what a script changes: own moves are pushed, too.
    const tracking =
      tracked === undefined
        ? []
        : [
            this.#sendNow(["CLIENT", "TRACKING", "OFF"]),
            this.#sendNow(["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", tracked]),
          ];
    const [server, replication] = await Promise.all([
      this.#sendNow(["INFO", "server"]),
      this.#primary(),
      ...tracking,
    ]);
    this.#replication = replication;
    this.#history = fieldOf(String(server), "run_id").slice(0, 12) + replication.slice(0, 12);
  }

  #beat(): void {
    const { timers, leaseMs } = this.#options;
    this.#timer = timers.set(() => this.#tick(), leaseMs / 3);
  }

  #tick(): void {
    const { now, leaseMs } = this.#options;
    if (this.#beatSentMs === undefined) void this.#ask();
    else if (now() - this.#beatSentMs >= leaseMs)
      return this.drop(
        new StoreError(`Redis did not answer for ${leaseMs} ms`, { reason: "timeout" }),
      );
    this.#beat();
  }

  /** For the history, too: a primary that was demoted keeps its connections, and what it answers may be old. */
  async #ask(): Promise<void> {
    this.#beatSentMs = this.#options.now();
    await this.#check().catch(() => {});
    this.#beatSentMs = undefined;
  }

  /** One question, sent when this turn has sent all of its commands, for all of them. */
  #vouch(): Promise<void> {
    this.#vouching ??= new Promise((resolve, reject) => {
      process.nextTick(() => {
        this.#vouching = undefined;
        this.#check().then(resolve, reject);
      });
    });
    return this.#vouching;
  }

  async #check(): Promise<void> {
    try {
      if ((await this.#primary()) !== this.#replication)
        throw new StoreError("the replication history of the server is another one", {
          reason: "unavailable",
        });
    } catch (error) {
      if (error instanceof StoreError) this.drop(error);
      throw error;
    }
  }

  /** The history of a primary. @throws StoreError for a replica. */
  async #primary(): Promise<string> {
    const text = String(await this.#sendNow(["INFO", "replication"]));
    if (/^role:(slave|replica)/m.test(text))
      throw new StoreError("connected to a replica; fences must be read where they are written", {
        reason: "readonly",
      });
    return fieldOf(text, "master_replid");
  }

  async #sendNow(args: string[]): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended;
    const sentMs = this.#options.now();
    const reply = await this.#client.sendCommand(args);
    if (sentMs > this.#answeredMs) this.#answeredMs = sentMs;
    return reply;
  }

  #destroy(): void {
    try {
      this.#client.destroy();
    } catch {
      // It had ended by itself.
    }
  }
}

function fieldOf(info: string, name: string): string {
  const value = new RegExp(`^${name}:(\\w+)`, "m").exec(info)?.[1];
  if (value === undefined) throw new StoreError(`INFO does not tell the ${name}`);
  return value;
}
