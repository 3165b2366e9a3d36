import { describe, expect, test } from "vitest";
import { processLoad } from "../src/index.ts";

describe("the load of this process", () => {
  test("is a share of the time since the reading before, and of the memory there is", () => {
    let nowMs = 0;
    const read = processLoad({ maxAgeMs: 10, now: () => nowMs });
    const start = performance.now();
    while (performance.now() - start < 20);
    nowMs = 10;
    const busy = read();
    expect(busy.eventLoopUtilization).toBeGreaterThan(0.9);
    expect(busy.memoryPressure).toBeGreaterThan(0);
    expect(busy.memoryPressure).toBeLessThanOrEqual(1);
  });

  test("is read again only when it is older than maxAgeMs", () => {
    let nowMs = 0;
    const read = processLoad({ maxAgeMs: 500, now: () => nowMs });
    const first = read();
    nowMs = 499;
    expect(read()).toBe(first);
    nowMs = 500;
    expect(read()).not.toBe(first);
  });
});
