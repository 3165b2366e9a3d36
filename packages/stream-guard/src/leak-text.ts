import type { Evidence, LeakFinding, LeakKind } from "./leak-findings.ts";

const TITLES: Readonly<Record<LeakKind, string>> = {
  heldBytes: "sessions hold memory and do not move",
  openSession: "sessions stay open and do not move",
  ledger: "bytes are charged to no open session",
  zombie: "closed, and still reachable after major collections",
  droppedHandle: "collected without having been closed",
  openHandle: "handles open for too long",
  heap: "memory after major collections grows",
};

/** The findings for people, those that hold now first. */
export function leakText(findings: readonly LeakFinding[]): string {
  if (findings.length === 0) return "no leaks found";
  const ordered = findings.toSorted((a, b) => Number(b.active) - Number(a.active));
  return ordered.map(paragraph).join("\n\n");
}

function paragraph({
  kind,
  place,
  stack,
  evidence,
  firstSeenMs,
  active,
  times,
}: LeakFinding): string {
  const state = active ? "since" : "over; first seen";
  const again = times > 1 ? `, ${times} times` : "";
  const lines = [
    `${kind}: ${TITLES[kind]}`,
    `  at ${place}`,
    `  ${state} ${new Date(firstSeenMs).toISOString()}${again}`,
    `  ${facts(evidence)}`,
  ];
  return stack === undefined ? lines.join("\n") : [...lines, stack].join("\n");
}

function facts(evidence: Evidence): string {
  return Object.entries(evidence)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}
