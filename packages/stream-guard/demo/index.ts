// What does a client that does not read cost the server? 4,000 notifications of 64 KiB are sent to one,
// by both SDKs, over both transports, with and without the guard, each in a process of its own.
import { LIMIT_BYTES, NOTIFICATION_BYTES, NOTIFICATIONS, runCase } from "./case.ts";
import type { CaseResult } from "./case.ts";
import { longLine } from "./long-lines.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const HEADINGS = [
  "case",
  "RSS",
  "external",
  "heap",
  "held",
  "charged",
  "unsent",
  "p50 ms",
  "p99 ms",
  "sends",
];

const rows: string[][] = [];
for (const transport of ["http", "stdio"] as const)
  for (const sdk of ["v1", "v2"] as const)
    for (const guarded of [false, true])
      rows.push(cells(await runCase({ sdk, transport, guarded })));

console.log(
  `${NOTIFICATIONS} notifications of ${NOTIFICATION_BYTES / 1024} KiB to a client that does not read; ` +
    `with the guard its session may hold ${mib(LIMIT_BYTES)} MiB\n`,
);
for (const row of [HEADINGS, HEADINGS.map(() => ""), ...rows]) console.log(line(row));
console.log(`
MiB: RSS, external, heap: peak of the serving process over what it was before; held: heap and external after a
collection while the client did not read; charged: most the session was charged; unsent: most that was sent and
not yet taken by the system
p50, p99: on http, small tool calls of four other clients meanwhile; on stdio, which has one client, how late the
process's event loop was
sends: how they ended; on http each is awaited before the next, on stdio none is`);

console.log("\none line on stdin in pieces of 1 KiB, by SDK v1 alone and behind BoundedLines");
for (const lineBytes of [MIB / 4, MIB / 2, MIB, 2 * MIB]) {
  const { aloneMs, boundedMs } = await longLine(lineBytes, KIB);
  const ratio = (aloneMs / boundedMs).toFixed(1);
  console.log(
    `${mib(lineBytes)} MiB: ${aloneMs.toFixed(0)} ms, ${boundedMs.toFixed(0)} ms, ${ratio} times as long alone`,
  );
}

function cells(result: CaseResult): string[] {
  const { sdk, transport, guarded, peak, held, baseline, chargePeakBytes, outcomes } = result;
  const { p50Ms, p99Ms } = result.others ?? result.loop;
  return [
    `${sdk} ${transport} ${guarded ? "guarded" : "alone"}`,
    mib(peak.residentBytes - baseline.residentBytes),
    mib(peak.externalBytes - baseline.externalBytes),
    mib(peak.heapBytes - baseline.heapBytes),
    mib(held.heapBytes + held.externalBytes - baseline.heapBytes - baseline.externalBytes),
    chargePeakBytes === undefined ? "-" : mib(chargePeakBytes),
    mib(result.bufferedPeakBytes),
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
    Object.entries(outcomes)
      .map(([outcome, count]) => `${count} ${outcome.replace("STREAM_GUARD_", "").toLowerCase()}`)
      .join(", "),
  ];
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(2);
}

function line(row: readonly string[]): string {
  const widths = HEADINGS.map((_, column) =>
    Math.max(...[HEADINGS, ...rows].map((cellsOf) => cellsOf[column]?.length ?? 0)),
  );
  const padded = row.map((cell, column) => {
    const width = widths[column] ?? 0;
    if (row[0] === "") return "-".repeat(width);
    return column === 0 || column === row.length - 1 ? cell.padEnd(width) : cell.padStart(width);
  });
  return padded.join("  ").trimEnd();
}
