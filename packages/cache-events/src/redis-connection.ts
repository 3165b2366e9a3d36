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

/** One connection to one run of one server, from its handshake to its first failure. */
export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #use: ConnectionUse;
  readonly #client: RedisClientLike;
  #run = "";
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

  /** Identifies the server's process: a restart, or a failover, may have lost what was written last. */
  get run(): string {
    return this.#run;
  }

  /** When the latest command that has been answered was sent: everything pushed before then has arrived. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  /** Whether it has answered for long enough to count as sound. */
  get proven(): boolean {
    return this.#answeredMs - this.#readyMs >= this.#options.leaseMs / 3;
  }

  async send(args: string[]): Promise<unknown> {
    const sentMs = this.#options.now();
    const reply = await this.#client.sendCommand(args);
    if (sentMs > this.#answeredMs) this.#answeredMs = sentMs;
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
            this.send(["CLIENT", "TRACKING", "OFF"]),
            this.send(["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", tracked]),
          ];
    const [server] = await Promise.all([
      this.send(["INFO", "server"]),
      this.#checkRole(),
      ...tracking,
    ]);
    const run = /^run_id:(\w+)/m.exec(String(server))?.[1];
    if (run === undefined) throw new StoreError("INFO server does not tell the run_id");
    this.#run = run.slice(0, 12);
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

  /** For the role, too: a primary that was demoted keeps its connections, and what it answers may be old. */
  async #ask(): Promise<void> {
    this.#beatSentMs = this.#options.now();
    try {
      await this.#checkRole();
    } catch (error) {
      if (error instanceof StoreError) this.drop(error);
    }
    this.#beatSentMs = undefined;
  }

  async #checkRole(): Promise<void> {
    const replication = String(await this.send(["INFO", "replication"]));
    if (/^role:(slave|replica)/m.test(replication))
      throw new StoreError("connected to a replica; fences must be read where they are written", {
        reason: "readonly",
      });
  }

  #destroy(): void {
    try {
      this.#client.destroy();
    } catch {
      // It had ended by itself.
    }
  }
}
