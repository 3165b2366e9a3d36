import { AdmissionError, ResourcePool, StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { seededRandom } from "./random.ts";
import { SOURCES, TRANSFERS } from "./streams.ts";
import { VirtualTime } from "./virtual-time.ts";

const KIB = 1024;
/** Sessions opened, worked through and closed between two looks at the heap. */
export const GROUP_SESSIONS = 16;
/** The last four of a group: one aborted, one that stalls, one that is evicted and the one it gives way to. */
const STREAMING_SESSIONS = GROUP_SESSIONS - 4;
const LIMITS = { maxMemoryBytes: 16 * KIB * KIB, sessionMaxMemoryBytes: 12 * KIB * KIB };
/** More than `evictAfterIdleMs`. */
const IDLE_MS = 12_000;
/** More than `stallTimeoutMs` and the sweep after it. */
const STALLED_MS = 32_000;

export interface WorkloadOptions {
  readonly seed: number;
  /** Chunks reserved and released by each session. */
  readonly operations: number;
  /** That pass between two groups on the guard's clock. */
  readonly groupMs: number;
  /** Called for each session when it has ended. */
  readonly onSession: () => void;
}

/** Sessions of every kind against a real guard, with a clock of their own. */
export class Workload {
  readonly guard: StreamGuard;
  readonly pool: ResourcePool;
  /** Chunks that were reserved and released. */
  operations = 0;
  #refused = 0;
  #groups = 0;
  #busiest = { sessions: 0, ledgerBytes: 0 };
  readonly #options: WorkloadOptions;
  readonly #time = new VirtualTime();
  readonly #random: () => number;
  readonly #shared = new Uint8Array(16 * KIB);

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const { now, schedule } = this.#time;
    this.guard = new StreamGuard({ ...LIMITS, now, schedule });
    this.pool = new ResourcePool({ capacity: 8, name: "soak", now, schedule });
  }

  /** The most that was open, and in use, since the last call. */
  takeBusiest(): { readonly sessions: number; readonly ledgerBytes: number } {
    const busiest = this.#busiest;
    this.#busiest = { sessions: 0, ledgerBytes: 0 };
    return busiest;
  }

  facts(): Readonly<Record<string, number>> {
    const { closed, peakBytes } = this.guard.stats();
    const ended = Object.entries(closed).filter(([, count]) => count > 0);
    return {
      ...Object.fromEntries(ended.map(([reason, count]) => [`ended: ${reason}`, count])),
      refused: this.#refused,
      "most memory in use, MiB": peakBytes / KIB / KIB,
    };
  }

  /** Whatever did not go as it was meant to. */
  problems(): readonly string[] {
    const { closed, rejected, sessions, limitBytes, peakBytes } = this.guard.stats();
    const groups = this.#groups;
    const expected: [string, number, number][] = [
      ["sessions closed", closed.closed, groups * (GROUP_SESSIONS - 3)],
      ["sessions aborted", closed.aborted, groups],
      ["sessions stalled", closed.stalled, groups],
      ["sessions evicted", closed.evicted, groups],
      ["sessions refused", rejected.memory, groups],
      ["sessions open", sessions, 0],
      ["permits out", this.pool.stats().inUse, 0],
      ["bytes beyond the limit", Math.max(0, peakBytes - limitBytes), 0],
    ];
    return expected
      .filter(([, found, meant]) => found !== meant)
      .map(([what, found, meant]) => `${what}: expected ${meant}, found ${found}`);
  }

  /** Opens, uses and closes one group of sessions; none is open afterwards. */
  async runGroup(): Promise<void> {
    const streaming = Array.from({ length: STREAMING_SESSIONS }, () => this.#stream());
    await Promise.all([...streaming, this.#aborted(), this.#stalled()]);
    this.#time.advance(STALLED_MS);
    this.#evicted();
    this.#time.advance(Math.max(0, this.#options.groupMs - STALLED_MS - IDLE_MS));
    this.#groups += 1;
    for (let count = 0; count < GROUP_SESSIONS; count += 1) this.#options.onSession();
  }

  async #stream(): Promise<void> {
    await using session = this.guard.open();
    const streamed = this.#options.operations >> 1;
    this.#ledger(session, this.#options.operations - streamed);
    const transfer = this.#pick(TRANSFERS);
    await this.pool.use(() => transfer(session, this.#source(streamed)));
    this.operations += streamed;
  }

  async #aborted(): Promise<void> {
    const controller = new AbortController();
    const session = this.guard.open({ signal: controller.signal });
    const streamed = this.#options.operations >> 1;
    this.#ledger(session, this.#options.operations - streamed);
    const batches = session.pipe(this.#source(streamed + 1));
    for (let count = 0; count < streamed; count += 1) await batches.next();
    this.operations += streamed;
    controller.abort();
    await batches.next().catch(() => {});
  }

  /** Holds a chunk until the guard takes it away. */
  async #stalled(): Promise<void> {
    const session = this.guard.open();
    this.#ledger(session, this.#options.operations - 1);
    await session.pipe(this.#source(2)).next();
    this.operations += 1;
  }

  /** One session rests on its memory until another needs it; meanwhile the guard admits nobody. */
  #evicted(): void {
    const idle = this.guard.open();
    this.#ledger(idle, this.#options.operations - 1);
    idle.reserve(6 * KIB * KIB);
    this.operations += 1;
    this.#time.advance(IDLE_MS);
    const busy = this.guard.open();
    this.#ledger(busy, this.#options.operations - 1);
    busy.reserve(7 * KIB * KIB);
    this.#refusal();
    busy.reserve(4 * KIB * KIB);
    this.operations += 1;
    this.#look();
    void busy.close();
  }

  #refusal(): void {
    try {
      this.guard.open();
    } catch (error) {
      if (!(error instanceof AdmissionError)) throw error;
      this.#refused += 1;
    }
  }

  #ledger(session: StreamingSession, count: number): void {
    for (let index = 0; index < count; index += 1) {
      const bytes = 1 + ((index * 7919) & 0x3fff);
      session.reserve(bytes);
      session.release(bytes);
    }
    this.operations += count;
    this.#look();
  }

  #look(): void {
    const { sessions, usedBytes } = this.guard.stats();
    this.#busiest = {
      sessions: Math.max(this.#busiest.sessions, sessions),
      ledgerBytes: Math.max(this.#busiest.ledgerBytes, usedBytes),
    };
  }

  #source(count: number) {
    const fresh = this.#random() < 0.5;
    const make = (): Uint8Array => (fresh ? new Uint8Array(4 * KIB) : this.#shared);
    return this.#pick(SOURCES)(count, make);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }
}
