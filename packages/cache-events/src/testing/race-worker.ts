import { setTimeout as delay } from "node:timers/promises";
import { act } from "./actor.ts";
import type { CacheUnderTest, OpenCache } from "./cache-under-test.ts";
import type { Command, Reply, WorkerPlan } from "./race-messages.ts";
import { seeded } from "./random.ts";
import { missing } from "./report.ts";
import { nextTurn } from "./turns.ts";
import { Witness } from "./witness.ts";
import { Workload, workloadEntries } from "./workload.ts";

/** One process of a race: does rounds as it is told, and hands over what it saw. */
class Worker {
  readonly #plan: WorkerPlan;
  readonly #witness: Witness;
  readonly #workload: Workload;
  readonly #random: () => number;

  private constructor(plan: WorkerPlan, cache: CacheUnderTest, random: () => number) {
    this.#plan = plan;
    this.#random = random;
    const clock = (): number => Number(process.hrtime.bigint() - plan.originNs);
    this.#witness = new Witness(cache, plan.worker, clock);
    this.#workload = new Workload(cache, random);
  }

  static async open(plan: WorkerPlan): Promise<Worker> {
    const random = seeded(plan.seed * 1_000 + plan.worker);
    const { open } = (await import(plan.module)) as { readonly open: OpenCache };
    if (typeof open !== "function")
      throw new TypeError(`expected ${plan.module} to export a function named open`);
    const cache = await open({
      name: plan.name,
      worker: plan.worker,
      now: () => Date.now() + plan.clockOffsetMs,
      ttlMs: plan.ttlMs,
      staleMs: plan.ttlMs,
      maxEntries: plan.maxEntries,
      random,
      turn: nextTurn,
      entries: workloadEntries,
      data: plan.data,
    });
    return new Worker(plan, cache, random);
  }

  async round(operations: number, limitMs: number): Promise<void> {
    const random = this.#random;
    const deadline = performance.now() + limitMs;
    let left = operations;
    const pace = {
      random,
      work: async (): Promise<void> => {
        await delay(this.#plan.computeMs * random());
      },
      pause: nextTurn,
    };
    const actor = async (): Promise<void> => {
      while (left-- > 0 && performance.now() < deadline)
        await act(this.#witness, this.#workload, pace);
    };
    await Promise.all(Array.from({ length: this.#plan.actors }, actor));
  }

  collect(): Reply {
    const { cache, recorder } = this.#witness;
    return { did: "collect", history: recorder.history(), skipped: missing(cache) };
  }

  async close(): Promise<void> {
    await this.#witness.cache.close?.();
  }
}

let worker: Worker | undefined;

process.on("message", (command: Command) => {
  void answer(command).then((reply) => process.send?.(reply));
});
process.on("disconnect", () => process.exit());

async function answer(command: Command): Promise<Reply> {
  try {
    switch (command.do) {
      case "open":
        worker = await Worker.open(command.plan);
        return { did: "open" };
      case "round":
        await worker?.round(command.operations, command.limitMs);
        return { did: "round" };
      case "collect":
        if (worker === undefined)
          throw new Error("expected the cache to be open before it is collected");
        return worker.collect();
      default:
        await worker?.close();
        return { did: "close" };
    }
  } catch (error) {
    return {
      did: "fail",
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}
