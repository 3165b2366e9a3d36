// A session that holds memory and does not move is named by the place that opened it.
import assert from "node:assert/strict";
import { LeakDetector, StreamGuard } from "@mcp-accel/stream-guard";
import type { LeakFinding } from "@mcp-accel/stream-guard";

const guard = new StreamGuard();
const detector = new LeakDetector({
  guard,
  stackSampleRatio: 1,
  // Far shorter than in a service, where the defaults fit.
  holdTimeoutMs: 50,
  intervalMs: 20,
}).start();

const alarm = new Promise<LeakFinding>((resolve) => {
  detector.on("leak", resolve);
});

function subscribe(): void {
  guard.open({ id: "subscriber" }).reserve(4096);
}
subscribe();

// The detector's timer does not keep the process alive.
const alive = setInterval(() => {}, 1000);
const finding = await alarm;
clearInterval(alive);
assert.equal(finding.kind, "heldBytes");
assert.match(finding.place, /^subscribe \(.*leaks\.ts:\d+:\d+\)$/);
assert.equal(finding.evidence["bytes"], 4096);

// Handles of your own: closed in time, or named.
const upstream = { close: () => {} };
const tracked = detector.track(upstream, { kind: "upstream", maxOpenMs: 60_000 });
upstream.close();
tracked.close();
assert.equal(detector.stats().handles, 0);

console.log(detector.text());
detector.stop();
await guard.close();
