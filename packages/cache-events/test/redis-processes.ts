import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type {
  CacheReport,
  Invalidation,
  Sighting,
  WorkerOptions,
  WorkerOrder,
  WorkerReport,
} from "./redis-worker.ts";

const program = fileURLToPath(new URL("redis-worker.ts", import.meta.url));

/** A process on the cache under test. */
export class Worker {
  readonly #child: ChildProcess;

  static async start(options: WorkerOptions): Promise<Worker> {
    const worker = new Worker(options);
    await worker.#message();
    return worker;
  }

  private constructor(options: WorkerOptions) {
    this.#child = fork(program, [JSON.stringify(options)], {
      execArgv: ["--conditions=@mcp-accel/source"],
      serialization: "advanced",
    });
    onTestFinished(() => void this.#child.kill("SIGKILL"));
  }

  tell(order: WorkerOrder): void {
    this.#child.send(order, () => {});
  }

  async stop(): Promise<WorkerReport> {
    const report = this.#message();
    const exit = once(this.#child, "exit");
    this.tell("stop");
    const reported = (await report) as WorkerReport;
    await exit;
    return reported;
  }

  async #message(): Promise<unknown> {
    const died = once(this.#child, "exit").then(([code]) => {
      throw new Error(`a worker ended early with ${String(code)}`);
    });
    died.catch(() => {});
    const [message] = (await Promise.race([once(this.#child, "message"), died])) as [unknown];
    return message;
  }
}

export interface Verdict {
  readonly reads: number;
  readonly hits: number;
  readonly invalidations: number;
  readonly stale: number;
  /** Between the end of the invalidation that a read should have seen and the beginning of the read. */
  readonly stalestMs: number;
}

/** A read is stale when its value's compute began before an invalidation was called that had resolved before the read began. */
export function judge(reports: readonly CacheReport[]): Verdict {
  const invalidations = reports.flatMap((report) => report.invalidations);
  const byCover = Map.groupBy(invalidations, ({ cover }) => cover);
  const reads = reports.flatMap((report) => report.reads);
  const ages = reads
    .map((read) => read.covers.map((cover) => ageMs(read, byCover.get(cover) ?? [])))
    .map((found) => Math.max(...found))
    .filter((age) => age > 0);
  return {
    reads: reads.length,
    hits: reports.reduce((sum, { hits }) => sum + hits, 0),
    invalidations: invalidations.length,
    stale: ages.length,
    stalestMs: Math.max(0, ...ages),
  };
}

function ageMs(read: Sighting, invalidations: readonly Invalidation[]): number {
  let age = 0;
  for (const { called, resolved } of invalidations) {
    if (resolved < read.began && called > read.computed) age = Math.max(age, read.began - resolved);
  }
  return age;
}
