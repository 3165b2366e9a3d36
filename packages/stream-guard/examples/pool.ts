// Four at a time, the heavy one included, and whoever cannot wait is told so at once.
import assert from "node:assert/strict";
import { MemoryMonitor, ResourcePool } from "@mcp-accel/stream-guard";

const pool = new ResourcePool({ capacity: 4, queueLimit: 2, acquireTimeoutMs: 1000 });
const gate = Promise.withResolvers<void>();
const work = [1, 1, 2].map((weight) => pool.use(() => gate.promise, { weight }));
const waiting = [pool.acquire({ weight: 4 }), pool.acquire({ priority: "high" })];
await assert.rejects(pool.acquire(), { code: "STREAM_GUARD_QUEUE_FULL" });
assert.equal(pool.stats().inUse, 4);

gate.resolve();
await Promise.all(work);
const [heavy, urgent] = waiting;
(await urgent)?.release();
(await heavy)?.release();
assert.equal(pool.stats().inUse, 0);

const monitor = new MemoryMonitor({
  limitBytes: 1000,
  sample: () => ({ heapUsedBytes: 850, rssBytes: 0 }),
});
monitor.addHook("high", () => {
  console.log("the cache shrinks");
});
assert.equal(monitor.check(), "high");
console.log(pool.stats());
await pool.close();
