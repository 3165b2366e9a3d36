import { EventEmitter } from "eventemitter3";
import { HeapCapture } from "./heap-capture.ts";
import type { CpuProfile, HeapProfile, ProfileOptions, SnapshotOptions } from "./heap-capture.ts";
import { HeapWatch } from "./heap-watch.ts";
import type { CloseEvent, OpenEvent } from "./guard-events.ts";
import { leakFamilies } from "./leak-families.ts";
import { LeakFindings } from "./leak-findings.ts";
import type { LeakFinding, LeakKind } from "./leak-findings.ts";
import { Handles, UNTRACKED, checkTracked } from "./leak-handles.ts";
import type { TrackedHandle, TrackOptions } from "./leak-handles.ts";
import { ledgerObservations } from "./leak-ledger.ts";
import { resolveLeakOptions } from "./leak-options.ts";
import type { LeakDetectorOptions, ResolvedLeakOptions } from "./leak-options.ts";
import { Origins } from "./leak-origin.ts";
import type { Origin } from "./leak-origin.ts";
import { leakText } from "./leak-text.ts";
import { Zombies } from "./leak-zombies.ts";
import type { MetricFamily } from "./metric-families.ts";
import { safely } from "./safe-emit.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface LeakDetectorEvents {
  /** A finding began; told once until it is over. */
  leak: [LeakFinding];
}

export interface LeakDetectorStats {
  readonly active: Readonly<Record<LeakKind, number>>;
  /** Findings that began, since the detector was made. */
  readonly found: Readonly<Record<LeakKind, number>>;
  readonly checks: number;
  readonly collections: number;
  /** Sessions and handles that were closed and not collected yet. */
  readonly closed: number;
  readonly handles: number;
  readonly droppedHandles: number;
  /** Sessions, handles and findings there was no room for. */
  readonly untracked: number;
  readonly places: number;
  /** Heap and external memory after the last major collection. */
  readonly heapUsedBytes: number;
  readonly heapBlocks: number;
  /** Growth of the heap floor at equal load and between steps; undefined while there are too few blocks. */
  readonly heapBytesPerHour: number | undefined;
  /** The same less what chance may have added. */
  readonly heapSurelyAboveBytesPerHour: number | undefined;
  readonly heapMinBytesPerHour: number;
}

const UNKNOWN: Origin = { place: "(opened before the detector started)", stack: undefined };
const LEDGER_KINDS: readonly LeakKind[] = ["heldBytes", "openSession", "ledger"];
const HANDLE_KINDS: readonly LeakKind[] = ["droppedHandle", "openHandle"];

/**
 * Finds what is kept for longer than it is needed, in four layers: the guard's ledger, what was closed and is
 * still reachable, handles never closed, and the floor of the heap. Costs a stack for a share of what is opened,
 * a reading of the heap after each major collection, and nothing for each chunk.
 */
export class LeakDetector extends EventEmitter<LeakDetectorEvents> {
  readonly #options: ResolvedLeakOptions;
  readonly #origins: Origins;
  readonly #sessionOrigins = new WeakMap<StreamingSession, Origin>();
  readonly #zombies: Zombies;
  readonly #handles: Handles;
  readonly #heap: HeapWatch;
  readonly #findings: LeakFindings;
  readonly #capture: HeapCapture;
  #collections = 0;
  #checks = 0;
  #cancel: (() => void) | undefined;
  #stop: (() => void) | undefined;

  /** @throws InvalidArgumentError */
  constructor(options: LeakDetectorOptions = {}) {
    super();
    this.#options = resolveLeakOptions(options);
    const { stackSampleRatio, maxStacks, maxFindings, random, now, schedule } = this.#options;
    this.#origins = new Origins(stackSampleRatio, maxStacks, random);
    this.#zombies = new Zombies(this.#options);
    this.#handles = new Handles({
      ...this.#options,
      onOpen: (object) => {
        this.#zombies.forget(object);
      },
      onClose: (object, { what, name, origin }) => {
        this.#zombies.add(object, { what, name, origin }, this.#collections);
      },
    });
    this.#heap = new HeapWatch(this.#options);
    this.#findings = new LeakFindings(maxFindings, now, (finding) => {
      safely(() => this.emit("leak", finding));
    });
    this.#capture = new HeapCapture(schedule);
  }

  /** Begins to watch, without keeping the process alive. */
  start(): this {
    if (this.#stop !== undefined) return this;
    const { guard, collections } = this.#options;
    guard?.on("open", this.#onOpen);
    guard?.on("close", this.#onClose);
    const unobserve = collections(() => {
      this.#onCollection();
    });
    this.#arm();
    this.#stop = () => {
      this.#cancel?.();
      unobserve();
      guard?.off("open", this.#onOpen);
      guard?.off("close", this.#onClose);
    };
    return this;
  }

  /** Ends all watching and forgets what was watched; the findings stay. Idempotent. */
  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#zombies.stop();
    this.#handles.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  /**
   * Watches a handle that is to be closed: report it with the returned `close()`, or let it emit `close`. Does
   * nothing while the detector is stopped.
   *
   * @throws InvalidArgumentError
   */
  track(object: object, options: TrackOptions): TrackedHandle {
    checkTracked(object, options);
    if (this.#stop === undefined) return UNTRACKED;
    return this.#handles.track(object, options, this.#origins.sample());
  }

  /** Looks at everything now; runs by itself every `intervalMs`. Returns what holds now. */
  check(): readonly LeakFinding[] {
    const { guard, now } = this.#options;
    this.#checks += 1;
    if (guard !== undefined) {
      const origin = (session: StreamingSession): Origin =>
        this.#sessionOrigins.get(session) ?? UNKNOWN;
      const observed = ledgerObservations(guard, now(), this.#options, origin);
      this.#findings.update(LEDGER_KINDS, observed);
    }
    this.#findings.update(["zombie"], this.#zombies.look(this.#collections));
    this.#findings.update(HANDLE_KINDS, this.#handles.look());
    this.#findings.update(["heap"], this.#heap.look());
    return this.report().filter(({ active }) => active);
  }

  /** All findings that are kept, also those that are over. */
  report(): readonly LeakFinding[] {
    return this.#findings.all;
  }

  text(): string {
    return leakText(this.report());
  }

  stats(): LeakDetectorStats {
    const { growth } = this.#heap;
    return {
      active: this.#findings.active(),
      found: { ...this.#findings.totals },
      checks: this.#checks,
      collections: this.#collections,
      closed: this.#zombies.size,
      handles: this.#handles.size,
      droppedHandles: this.#handles.droppedCount,
      untracked: this.#zombies.skipped + this.#handles.skipped + this.#findings.dropped,
      places: this.#origins.size,
      heapUsedBytes: this.#heap.usedBytes,
      heapBlocks: this.#heap.blocks,
      heapBytesPerHour: growth?.bytesPerHour,
      heapSurelyAboveBytesPerHour: growth?.lowerBytesPerHour,
      heapMinBytesPerHour: this.#heap.minBytesPerHour,
    };
  }

  metricFamilies(): readonly MetricFamily[] {
    return leakFamilies(() => this.stats());
  }

  /** See `HeapCapture.snapshot`. Stops the process while V8 writes it down. */
  async heapSnapshot(path: string, options?: SnapshotOptions): Promise<void> {
    return this.#capture.snapshot(path, options);
  }

  /** See `HeapCapture.cpuProfile`. */
  async cpuProfile(options?: ProfileOptions): Promise<CpuProfile> {
    return this.#capture.cpuProfile(options);
  }

  /** See `HeapCapture.heapProfile`. */
  async heapProfile(options?: ProfileOptions): Promise<HeapProfile> {
    return this.#capture.heapProfile(options);
  }

  readonly #onOpen = ({ session }: OpenEvent): void => {
    this.#sessionOrigins.set(session, this.#origins.sample());
  };

  readonly #onClose = ({ session }: CloseEvent): void => {
    const origin = this.#sessionOrigins.get(session) ?? UNKNOWN;
    this.#zombies.add(session, { what: "session", name: session.id, origin }, this.#collections);
  };

  #arm(): void {
    this.#cancel = this.#options.schedule(() => {
      this.#arm();
      this.check();
    }, this.#options.intervalMs);
  }

  #onCollection(): void {
    const { guard, load, sampleHeap, now } = this.#options;
    this.#collections += 1;
    const ledgerBytes = guard?.stats().usedBytes ?? 0;
    this.#heap.add({ ...sampleHeap(), atMs: now(), load: load(), ledgerBytes });
  }
}
