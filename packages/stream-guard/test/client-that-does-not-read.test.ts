import { describe, expect, test } from "vitest";
import { LIMIT_BYTES, NOTIFICATION_BYTES, NOTIFICATIONS, runCase } from "../demo/case.ts";
import type { CaseResult } from "../demo/case.ts";

const MIB = 1 << 20;
/** What serving the other clients and the messages that wait for room leave on the heap after a collection. */
const HELD_ALLOWANCE_BYTES = 4 * MIB;
/** 250 MiB of messages are made and thrown away; V8 keeps some pages of that for later. */
const RESIDENT_ALLOWANCE_BYTES = 96 * MIB;
const FLOOD_BYTES = NOTIFICATIONS * NOTIFICATION_BYTES;
const TIMEOUT_MS = 60_000;

describe.each(["http", "stdio"] as const)("4,000 notifications of 64 KiB over %s", (transport) => {
  test.each(["v1", "v2"] as const)(
    "SDK %s keeps them all without the guard",
    async (sdk) => {
      const result = await runCase({ sdk, transport, guarded: false });
      expect(heldBytes(result)).toBeGreaterThan(0.8 * FLOOD_BYTES);
      expect(grownBytes(result)).toBeGreaterThan(0.8 * FLOOD_BYTES);
      expect(result.bufferedPeakBytes).toBeGreaterThan(0.8 * FLOOD_BYTES);
    },
    TIMEOUT_MS,
  );

  test.each(["v1", "v2"] as const)(
    "SDK %s keeps no more than the session's limit with the guard, and others are answered",
    async (sdk) => {
      const result = await runCase({ sdk, transport, guarded: true });
      expect(result.chargePeakBytes).toBeLessThanOrEqual(LIMIT_BYTES);
      expect(result.chargePeakBytes).toBeGreaterThan(LIMIT_BYTES / 2);
      expect(result.bufferedPeakBytes).toBeLessThanOrEqual(LIMIT_BYTES);
      expect(heldBytes(result)).toBeLessThan(LIMIT_BYTES + HELD_ALLOWANCE_BYTES);
      expect(grownBytes(result)).toBeLessThan(LIMIT_BYTES + RESIDENT_ALLOWANCE_BYTES);
      expect(result.outcomes["STREAM_GUARD_MEMORY_LIMIT"]).toBe(1);
      expect(result.outcomes["unsettled"]).toBeUndefined();
      if (transport === "stdio") return;
      expect(result.others?.failed).toBe(0);
      expect(result.others?.answered).toBeGreaterThan(20);
    },
    TIMEOUT_MS,
  );
});

function heldBytes({ held, baseline }: CaseResult): number {
  return held.heapBytes + held.externalBytes - baseline.heapBytes - baseline.externalBytes;
}

function grownBytes({ peak, baseline }: CaseResult): number {
  return peak.residentBytes - baseline.residentBytes;
}
