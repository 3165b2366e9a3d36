// Prints how many steps of the sources an operation takes beside a hundred waiters and a hundred
// thousand, as JSON: steps as V8 counts them, each run of a block, so that a hidden loop shows.
import { Session } from "node:inspector/promises";
import { ResourcePool } from "@mcp-accel/stream-guard";
import type { Permit } from "@mcp-accel/stream-guard";

const inspector = new Session();
inspector.connect();
await inspector.post("Profiler.enable");
await inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

const counts = { few: await stepsBeside(100), many: await stepsBeside(100_000) };
console.log(JSON.stringify(counts));

async function stepsBeside(waiting: number): Promise<Record<string, number>> {
  const timers = new Map<number, () => void>();
  const { signal } = new AbortController();
  let scheduled = 0;
  const pool = new ResourcePool({
    capacity: 1,
    queueLimit: waiting + 10,
    agingMs: 1000,
    now: () => 0,
    schedule: (callback) => {
      const id = (scheduled += 1);
      timers.set(id, callback);
      return () => void timers.delete(id);
    },
  });
  let permit: Permit = await pool.acquire();
  const controllers = Array.from({ length: waiting }, (_, index) =>
    index % 2 === 0 ? new AbortController() : undefined,
  );
  const waits = controllers.map((controller, index) =>
    pool.acquire({
      priority: (["high", "normal", "low"] as const)[index % 3]!,
      // Every other one listens to the same signal.
      signal: controller?.signal ?? signal,
    }),
  );
  for (const wait of waits) wait.catch(() => {});
  const middle = waiting / 2;
  const steps = {
    acquire: await counted(() => void waits.push(pool.acquire({ signal }))),
    abortInTheMiddle: await counted(() => controllers[middle]?.abort()),
    timeoutInTheMiddle: await counted(() => timers.get(middle + 2)?.()),
    releaseToTheNext: await counted(() => permit.release()),
  };
  permit = await waits[0]!;
  for (const wait of waits) wait.catch(() => {});
  await pool.close();
  permit.release();
  return steps;
}

/** Runs of blocks of this package's sources until everything that `operation` began is done. */
async function counted(operation: () => void): Promise<number> {
  await settled();
  await inspector.post("Profiler.takePreciseCoverage");
  operation();
  await settled();
  const { result } = await inspector.post("Profiler.takePreciseCoverage");
  return result
    .filter(({ url }) => url.includes("/src/"))
    .flatMap(({ functions }) => functions)
    .flatMap(({ ranges }) => ranges)
    .reduce((sum, { count }) => sum + count, 0);
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
