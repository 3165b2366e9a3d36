// What does it cost to reserve and release the bytes of one chunk?
import { StreamGuard } from "@mcp-accel/stream-guard";
import { CHUNK_BYTES } from "./chunks.ts";
import { ask } from "./paired.ts";

const PAIRS = 10_000;
const RESERVE = "session.reserve and release";
const guard = new StreamGuard();
const session = guard.open();

/** Two limits and two sums, and nothing else. */
const bare = { used: 0, limit: 8 << 20, total: 0, totalLimit: 256 << 20 };

await ask([
  {
    title: "ledger: nanoseconds for each reserve and release",
    contenders: [
      { name: "two counters with limits", perRun: PAIRS, run: counters },
      { name: RESERVE, perRun: PAIRS, run: () => reserve() },
      { name: "session.tryReserve and release", perRun: PAIRS, run: () => tryReserve() },
    ],
    goals: { [RESERVE]: { ns: 15 } },
  },
]);
await guard.close();

function counters(): void {
  for (let count = 0; count < PAIRS; count += 1) {
    if (CHUNK_BYTES > bare.limit - bare.used || CHUNK_BYTES > bare.totalLimit - bare.total)
      throw new Error("full");
    bare.used += CHUNK_BYTES;
    bare.total += CHUNK_BYTES;
    bare.used -= CHUNK_BYTES;
    bare.total -= CHUNK_BYTES;
  }
}

function reserve(): void {
  for (let count = 0; count < PAIRS; count += 1) {
    session.reserve(CHUNK_BYTES);
    session.release(CHUNK_BYTES);
  }
}

function tryReserve(): void {
  for (let count = 0; count < PAIRS; count += 1)
    if (session.tryReserve(CHUNK_BYTES)) session.release(CHUNK_BYTES);
}
