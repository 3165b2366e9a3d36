// What does a permit cost, when one is free and when 100,000 wait for it?
import { ResourcePool } from "@mcp-accel/stream-guard";
import { ask } from "./paired.ts";
import type { Contender } from "./paired.ts";
import { rivals } from "./pool-rivals.ts";
import type { Use } from "./pool-rivals.ts";

const CAPACITY = 10;
const FREE_TASKS = 1000;
const WAITING_TASKS = 100_000;

const pool = new ResourcePool({ capacity: CAPACITY, queueLimit: WAITING_TASKS });
const uses: readonly (readonly [string, Use])[] = [
  ...(await rivals(CAPACITY)),
  ["ResourcePool.use", (work) => pool.use(work)],
];

await ask([
  {
    title: "pool: nanoseconds for each task, one at a time",
    contenders: uses.map(([name, use]) => inTurn(name, use)),
  },
  {
    title: `pool: nanoseconds for each of ${WAITING_TASKS} tasks begun at once, ${CAPACITY} at a time`,
    contenders: uses.map(([name, use]) => atOnce(name, use)),
    rounds: 5,
  },
]);
await pool.close();

function inTurn(name: string, use: Use): Contender {
  const run = async (): Promise<void> => {
    for (let count = 0; count < FREE_TASKS; count += 1) await use(task);
  };
  return { name, perRun: FREE_TASKS, run };
}

function atOnce(name: string, use: Use): Contender {
  const run = (): Promise<unknown> =>
    Promise.all(Array.from({ length: WAITING_TASKS }, () => use(task)));
  return { name, perRun: WAITING_TASKS, run };
}

async function task(): Promise<void> {}
