import { createWriteStream, existsSync } from "node:fs";
import type { WriteStream } from "node:fs";
import { link, unlink } from "node:fs/promises";
import { Session } from "node:inspector/promises";
import type { HeapProfiler, Profiler } from "node:inspector";
import { isAbsolute } from "node:path";
import { pipeline } from "node:stream/promises";
import { getHeapSnapshot } from "node:v8";
import { CaptureRefusedError } from "./capture-errors.ts";
import { InvalidArgumentError } from "./errors.ts";
import { heapLimitBytes } from "./memory-limits.ts";
import { atMost, duration, fn } from "./options.ts";
import { readHeap } from "./process-memory.ts";
import type { Schedule } from "./schedule.ts";

/** What a snapshot takes besides the heap, in sizes of the heap: a heap of 58 MB took the process to 938 MB. */
const SNAPSHOT_FACTOR = 16;
/** V8 collects and moves while it writes: a heap fuller than this may not survive it. */
const SNAPSHOT_HEAP_RATIO = 0.5;
const PROFILE_BYTES = 128 * 1024 * 1024;
const PROFILE_MS = 5000;
const MAX_PROFILE_MS = 10 * 60_000;
const OWNER_ONLY = 0o600;

export type CpuProfile = Profiler.Profile;
export type HeapProfile = HeapProfiler.SamplingHeapProfile;

/** What is free, as far as a capture is concerned. */
export interface Headroom {
  readonly heapUsedBytes: number;
  readonly heapLimitBytes: number;
  /** Memory the process may still take: of its container, or of the machine. */
  readonly availableBytes: number;
}

export interface SnapshotOptions {
  readonly headroom?: () => Headroom;
  readonly signal?: AbortSignal;
}

export interface ProfileOptions extends SnapshotOptions {
  /** 5 s by default, 10 minutes at most. */
  readonly durationMs?: number;
}

/** Snapshots and profiles on demand, one at a time, and only where there is room for them. */
export class HeapCapture {
  readonly #schedule: Schedule;
  #busy = false;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /**
   * Writes a heap snapshot to `path`, an absolute one that ends in `.heapsnapshot` and does not exist yet, readable
   * by the owner alone. A snapshot that fails or is aborted leaves no file.
   *
   * @throws CaptureRefusedError when another capture runs, memory is short, or the file exists
   * @throws InvalidArgumentError for a path that is not such a one
   */
  async snapshot(path: string, { headroom, signal }: SnapshotOptions = {}): Promise<void> {
    checkPath(path);
    await this.#alone(signal, async () => {
      if (existsSync(path))
        throw new CaptureRefusedError("exists", `${path} exists; choose another`);
      checkSnapshotRoom(roomOf(headroom));
      const part = `${path}.part`;
      const file = createWriteStream(part, { flags: "wx", mode: OWNER_ONLY });
      let opened = false;
      file.once("open", () => {
        opened = true;
      });
      try {
        await pipeline(getHeapSnapshot(), file, signal === undefined ? {} : { signal });
        // Unlike a rename, a link never replaces what is there.
        await link(part, path);
      } finally {
        await closed(file);
        if (opened) await unlink(part);
      }
    });
  }

  /**
   * Samples what the processor does for `durationMs`.
   *
   * @throws CaptureRefusedError, InvalidArgumentError, or the signal's reason
   */
  async cpuProfile(options: ProfileOptions = {}): Promise<CpuProfile> {
    return this.#profile(options, async (session, wait) => {
      await session.post("Profiler.enable");
      await session.post("Profiler.start");
      await wait();
      return (await session.post("Profiler.stop")).profile;
    });
  }

  /**
   * Samples what is allocated within `durationMs` and still there at its end.
   *
   * @throws CaptureRefusedError, InvalidArgumentError, or the signal's reason
   */
  async heapProfile(options: ProfileOptions = {}): Promise<HeapProfile> {
    return this.#profile(options, async (session, wait) => {
      await session.post("HeapProfiler.startSampling");
      await wait();
      return (await session.post("HeapProfiler.stopSampling")).profile;
    });
  }

  async #profile<T>(
    { headroom, signal, durationMs = PROFILE_MS }: ProfileOptions,
    take: (session: Session, wait: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    atMost("durationMs", duration("durationMs", durationMs), "10 minutes", MAX_PROFILE_MS);
    return this.#alone(signal, async () => {
      const { availableBytes } = roomOf(headroom);
      if (availableBytes < PROFILE_BYTES) throw shortOf("a profile", PROFILE_BYTES, availableBytes);
      const session = new Session();
      session.connect();
      try {
        return await take(session, () => this.#wait(durationMs, signal));
      } finally {
        session.disconnect();
      }
    });
  }

  async #wait(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#schedule(resolve, durationMs);
    const onAbort = (): void => {
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #alone<T>(signal: AbortSignal | undefined, capture: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (this.#busy) throw new CaptureRefusedError("busy", "another one is being taken; try later");
    this.#busy = true;
    try {
      return await capture();
    } finally {
      this.#busy = false;
    }
  }
}

/** A file whose opening is under way when the stream fails is there only afterwards. */
async function closed(file: WriteStream): Promise<void> {
  file.destroy();
  if (file.closed) return;
  await new Promise<void>((resolve) => {
    file.once("close", resolve);
  });
}

function checkPath(path: string): void {
  const fit =
    typeof path === "string" &&
    isAbsolute(path) &&
    path.endsWith(".heapsnapshot") &&
    !path.includes("\0");
  if (!fit)
    throw new InvalidArgumentError("path", "an absolute path to a .heapsnapshot file", path);
}

function checkSnapshotRoom({
  heapUsedBytes,
  heapLimitBytes: limit,
  availableBytes,
}: Headroom): void {
  const neededBytes = heapUsedBytes * SNAPSHOT_FACTOR;
  if (availableBytes < neededBytes) throw shortOf("a snapshot", neededBytes, availableBytes);
  if (heapUsedBytes > limit * SNAPSHOT_HEAP_RATIO)
    throw new CaptureRefusedError(
      "headroom",
      `the heap uses ${heapUsedBytes} of ${limit} bytes, more than half; free memory or raise the limit`,
    );
}

function shortOf(what: string, neededBytes: number, availableBytes: number): CaptureRefusedError {
  return new CaptureRefusedError(
    "headroom",
    `${what} may take ${neededBytes} bytes, and ${availableBytes} are available; free memory or raise the limit`,
  );
}

function roomOf(headroom: () => Headroom = processHeadroom): Headroom {
  return fn("headroom", headroom)();
}

function processHeadroom(): Headroom {
  return {
    heapUsedBytes: readHeap().heapUsedBytes,
    heapLimitBytes: heapLimitBytes(),
    availableBytes: process.availableMemory(),
  };
}
