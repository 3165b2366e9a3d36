// A guarded HTTP server in this process, open-loop clients in another, for as long as it is told.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { sampleMemory } from "./heap-floor.ts";
import type { LoadRequest, LoadResult } from "./live-protocol.ts";
import { LiveServer } from "./live-server.ts";
import { Plant } from "./plant.ts";
import type { Measured, RunOptions, Sample } from "./record.ts";
import { SampleLog } from "./sample-log.ts";

export interface LiveOptions extends RunOptions {
  /** Sessions a second. */
  readonly rate: number;
  readonly durationMs: number;
}

/** Samples of a whole run; each needs a moment in which nothing is open. */
const SAMPLES = 1000;
const CYCLE_MS = { min: 500, max: 30_000 };
const WARM_UP_CYCLE_MS = 1000;
/** How long sessions and connections may take to end after their clients. */
const QUIET_MS = 10_000;

export async function runLive(options: LiveOptions): Promise<Measured> {
  const { durationMs, rate, signal, warmUpSessions, progress } = options;
  const cycleMs = Math.min(CYCLE_MS.max, Math.max(CYCLE_MS.min, durationMs / SAMPLES));
  const run = new LiveRun(options, cycleMs);
  await using _ = run;
  await run.start();
  while (run.sessions < warmUpSessions && !signal.aborted) {
    await run.cycle(WARM_UP_CYCLE_MS);
    await sampleMemory();
    progress(`warm-up: ${run.sessions} of ${warmUpSessions} sessions`);
  }
  run.begin();
  while (!run.done && !signal.aborted) {
    await run.cycle(cycleMs);
    const sample = await run.sample();
    progress(
      `${(sample.atMs / 60_000).toFixed(1)} of ${(durationMs / 60_000).toFixed(1)} minutes, ` +
        `${sample.sessions} sessions, heap floor ${(sample.floorBytes / 1e6).toFixed(3)} MB`,
    );
  }
  return run.result(`${rate} sessions a second over HTTP`);
}

class LiveRun {
  readonly #options: LiveOptions;
  readonly #server: LiveServer;
  readonly #log: SampleLog;
  readonly #begun: Record<string, number> = {};
  readonly #problems: string[] = [];
  sessions = 0;
  #clients: ChildProcess | undefined;
  #origin = "";
  #seed: number;
  #before = { sessions: 0, chunks: 0, atMs: 0 };

  constructor(options: LiveOptions, cycleMs: number) {
    this.#log = new SampleLog(Math.ceil(options.durationMs / cycleMs));
    const plant = new Plant(options.plantBytes, options.plantEvery);
    this.#options = options;
    this.#seed = options.seed;
    this.#server = new LiveServer(() => {
      this.sessions += 1;
      plant.leak();
    });
  }

  get done(): boolean {
    return this.#log.full || this.elapsedMs >= this.#options.durationMs;
  }

  get elapsedMs(): number {
    return performance.now() - this.#before.atMs;
  }

  async start(): Promise<void> {
    this.#origin = await this.#server.listen();
    this.#clients = fork(fileURLToPath(new URL("live-clients.ts", import.meta.url)));
    await once(this.#clients, "spawn");
  }

  begin(): void {
    this.#before = {
      sessions: this.sessions,
      chunks: this.#server.chunks,
      atMs: performance.now(),
    };
  }

  /** Load for `durationMs`, and then until nothing is open. */
  async cycle(durationMs: number): Promise<void> {
    const { rate } = this.#options;
    const request: LoadRequest = {
      origin: this.#origin,
      rate,
      durationMs,
      seed: (this.#seed += 1),
    };
    this.#clients?.send(request);
    const [{ begun, broken }] = (await once(this.#clients!, "message")) as [LoadResult];
    for (const [kind, count] of Object.entries(begun))
      this.#begun[kind] = (this.#begun[kind] ?? 0) + count;
    if (broken > 0) this.#problems.push(`${broken} responses came to a wrong end`);
    const until = performance.now() + QUIET_MS;
    while ((await this.#server.connections()) + this.#server.guard.stats().sessions > 0)
      if (performance.now() > until) return;
      else await setTimeout(5);
  }

  async sample(): Promise<Sample> {
    const { usedBytes, sessions: openSessions } = this.#server.guard.stats();
    const { ledgerBytes, sessions: busySessions } = this.#server.takeBusiest();
    const sample: Sample = {
      atMs: this.elapsedMs,
      sessions: this.sessions - this.#before.sessions,
      operations: this.#server.chunks - this.#before.chunks,
      ...(await sampleMemory()),
      ledgerBytes: usedBytes,
      openSessions,
      busyLedgerBytes: ledgerBytes,
      busySessions,
    };
    this.#log.add(sample);
    return sample;
  }

  result(title: string): Measured {
    const { plantBytes, rate, seed, signal } = this.#options;
    const { closed, peakBytes } = this.#server.guard.stats();
    const ended = Object.entries(closed).filter(([, count]) => count > 0);
    const samples = this.#log.samples();
    const stalls = this.#begun["stalls"] ?? 0;
    if (closed.stalled < stalls / 2)
      this.#problems.push(`${stalls} clients stalled, but ${closed.stalled} sessions ended for it`);
    const last = samples.at(-1);
    return {
      title,
      facts: {
        minutes: Number(((last?.atMs ?? 0) / 60_000).toFixed(2)),
        "sessions a second": rate,
        sessions: last?.sessions ?? 0,
        operations: last?.operations ?? 0,
        "sessions before": this.#before.sessions,
        seed,
        ...Object.fromEntries(
          Object.entries(this.#begun).map(([kind, n]) => [`client ${kind}, with those before`, n]),
        ),
        ...Object.fromEntries(ended.map(([reason, count]) => [`ended: ${reason}`, count])),
        "most memory in use, MiB": Number((peakBytes / 2 ** 20).toFixed(2)),
      },
      samples,
      plantBytes,
      interrupted: signal.aborted,
      problems: this.#problems,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients?.disconnect();
    await this.#server.close();
  }
}
