import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RetryBudget } from "../src/retry-budget.ts";
import { FakeTime } from "./helpers/fake-time.ts";

const steps = fc.array(
  fc.record({
    waitMs: fc.integer({ min: 0, max: 3000 }),
    requests: fc.integer({ min: 0, max: 50 }),
    tries: fc.integer({ min: 0, max: 50 }),
  }),
  { maxLength: 60 },
);

describe("the retry budget", () => {
  test("within every window there are no more retries than the share and the minimum allow", () => {
    fc.assert(
      fc.property(steps, fc.constantFrom(0, 0.1, 0.5), fc.constantFrom(0, 2), (all, ratio, min) => {
        const time = new FakeTime();
        const budget = new RetryBudget({ ratio, minPerSecond: min, now: time.now });
        const log: { at: number; requests: number; retries: number }[] = [];
        for (const { waitMs, requests, tries } of all) {
          time.advance(waitMs);
          for (let count = 0; count < requests; count += 1) budget.deposit();
          let retries = 0;
          for (let count = 0; count < tries; count += 1) if (budget.withdraw()) retries += 1;
          log.push({ at: time.now(), requests, retries });
        }
        for (const { at } of log) {
          // Slots of a second: a window of ten may see deposits of the one before.
          const inWindow = log.filter((one) => one.at <= at && one.at > at - 9000);
          const counted = log.filter((one) => one.at <= at && one.at > at - 20_000);
          const allowed = counted.reduce((sum, one) => sum + one.requests, 0) * ratio + min * 10;
          const used = inWindow.reduce((sum, one) => sum + one.retries, 0);
          expect(used).toBeLessThanOrEqual(allowed + 1e-3);
        }
      }),
    );
  });

  test("what was not used expires, and what was used comes back", () => {
    const time = new FakeTime();
    const budget = new RetryBudget({ ratio: 0.2, minPerSecond: 1, now: time.now });
    expect(budget.balance).toBe(10);
    for (let count = 0; count < 100; count += 1) budget.deposit();
    expect(Math.round(budget.balance)).toBe(30);
    for (let count = 0; count < 30; count += 1) expect(budget.withdraw()).toBe(true);
    expect(budget.withdraw()).toBe(false);
    time.advance(11_000);
    expect(budget.balance).toBe(10);
    time.advance(1e9);
    expect(budget.balance).toBe(10);
  });

  test("a ratio of 0 without a minimum allows none", () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0, now: () => 0 });
    budget.deposit();
    expect(budget.withdraw()).toBe(false);
  });
});
