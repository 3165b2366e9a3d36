// What remains of a burst of 10,000 requests at once, when it is quiet again: connections and memory?
import { Child } from "./child.ts";
import { report } from "./report.ts";
import { BenchServer } from "./server.ts";
import type { BurstOptions, BurstResult } from "./burst-process.ts";

const REQUESTS = 10_000;
/** Longer than any of them keeps an idle connection that is not wanted. */
const QUIET_MS = 5500;
const MAX_IDLE = 8;

const subjects: readonly (BurstOptions & { readonly label: string })[] = [
  { label: "ConnectionPool", kind: "ours", connections: 64 },
  { label: "undici Pool, 64 connections", kind: "pool", connections: 64 },
  { label: "undici Pool", kind: "pool" },
  { label: "undici Agent", kind: "agent" },
];

const rows = [];
for (const { label, ...options } of subjects) {
  const server = await BenchServer.start({ kind: "light" });
  await server.command({ delayMs: 20 });
  const settings = { ...options, origin: server.origin, requests: REQUESTS, quietMs: QUIET_MS };
  const [child] = await Child.start("burst-process.ts", [JSON.stringify(settings)]);
  rows.push(
    (async () => {
      const result = await child.ask<BurstResult>({});
      const { open, peakOpen } = await server.counts();
      await Promise.all([child.kill(), server.kill()]);
      return {
        client: label,
        failed: result.failed,
        seconds: result.seconds,
        "most connections": peakOpen,
        "open after": open,
        "kept objects": result.clients,
        "heap MB before": result.heapBefore,
        "heap after": result.heapAfter,
        "RSS MB before": result.rssBefore,
        "RSS after": result.rssAfter,
        ...(options.kind === "ours" && {
          goal: `<= ${MAX_IDLE} open`,
          verdict: open <= MAX_IDLE && result.failed === 0 ? "met" : "missed",
        }),
      };
    })(),
  );
}
report([
  {
    title: `burst: ${REQUESTS} requests at once, answered after 20 ms, then ${QUIET_MS / 1000} s of quiet`,
    rows: await Promise.all(rows),
    notes: [
      `ConnectionPool has maxIdle ${MAX_IDLE} and a queueLimit of the whole burst, the others their defaults.`,
      "Kept objects are the Clients that a dispatcher still holds. Heap and RSS are after a full collection.",
    ],
  },
]);
