import { groupByPlace, originOf } from "./leak-groups.ts";
import type { Group, Member } from "./leak-groups.ts";
import type { LeakKind, Observation } from "./leak-findings.ts";
import type { Origin } from "./leak-origin.ts";
import type { StreamGuard } from "./stream-guard.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface LedgerLimits {
  readonly holdTimeoutMs: number;
  readonly openTimeoutMs: number;
}

const LEDGER: Origin = { place: "ledger", stack: undefined };

/** Sessions that hold or stay open without moving, and bytes that belong to no session. */
export function ledgerObservations(
  guard: Pick<StreamGuard, "sessions" | "stats">,
  now: number,
  { holdTimeoutMs, openTimeoutMs }: LedgerLimits,
  origin: (session: StreamingSession) => Origin,
): readonly Observation[] {
  const holding: Member[] = [];
  const open: Member[] = [];
  let chargedBytes = 0;
  for (const session of guard.sessions()) {
    const bytes = session.memoryUsageBytes;
    const stillMs = session.stillForMs(now);
    chargedBytes += bytes;
    const member: Member = {
      origin: origin(session),
      what: "session",
      name: session.id,
      bytes,
      ageMs: stillMs,
    };
    if (bytes > 0 && stillMs >= holdTimeoutMs) holding.push(member);
    else if (bytes === 0 && stillMs >= openTimeoutMs) open.push(member);
  }
  return [
    ...observe("heldBytes", holding),
    ...observe("openSession", open),
    ...unowned(guard, chargedBytes),
  ];
}

function observe(kind: LeakKind, members: readonly Member[]): readonly Observation[] {
  return groupByPlace(members).map((group) => ({
    kind,
    origin: originOf(group),
    evidence: evidence(group),
  }));
}

/** Closing gives everything back: what is charged beyond the open sessions was kept after a close. */
function unowned(guard: Pick<StreamGuard, "stats">, chargedBytes: number): readonly Observation[] {
  const { usedBytes, opened, closed: reasons } = guard.stats();
  const keptBytes = usedBytes - chargedBytes;
  if (keptBytes === 0) return [];
  const closed = Object.values(reasons).reduce((sum, count) => sum + count, 0);
  const numbers = { keptBytes, usedBytes, chargedBytes, opened, closed };
  return [{ kind: "ledger", origin: LEDGER, evidence: numbers }];
}

function evidence({ count, bytes, oldestMs, examples }: Group): Observation["evidence"] {
  return { sessions: count, bytes, stillMs: oldestMs, examples: examples.join(", ") };
}
