import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CircuitBreaker } from "../src/circuit-breaker.ts";
import type { CircuitOptions } from "../src/circuit-breaker.ts";
import { FakeTime } from "./helpers/fake-time.ts";

const OPTIONS: CircuitOptions = {
  failures: 3,
  failureRate: 0.5,
  minRequests: 10,
  windowMs: 10_000,
  openMs: 1000,
  trials: 1,
};

function create(options: Partial<CircuitOptions> = {}): {
  circuit: CircuitBreaker;
  time: FakeTime;
  changes: string[];
} {
  const time = new FakeTime();
  const changes: string[] = [];
  const circuit = new CircuitBreaker(
    { ...OPTIONS, ...options },
    time.now,
    time.schedule,
    (from, to) => void changes.push(`${from} > ${to}`),
  );
  return { circuit, time, changes };
}

describe("a circuit breaker", () => {
  test("opens after failures in a row, lets one trial through, and closes when that succeeds", () => {
    const { circuit, time, changes } = create();
    for (let count = 0; count < 3; count += 1) circuit.failed();
    expect(circuit).toMatchObject({ state: "open", admits: false, retryAfterMs: 1000 });
    time.advance(999);
    expect(circuit).toMatchObject({ admits: false, retryAfterMs: 1 });
    time.advance(1);
    expect(circuit).toMatchObject({ state: "half-open", admits: true });
    expect(circuit.begin()).toBe(true);
    expect(circuit.admits).toBe(false);
    circuit.endTrial();
    circuit.succeeded();
    expect(circuit).toMatchObject({ state: "closed", admits: true, retryAfterMs: 0 });
    expect(circuit.begin()).toBe(false);
    expect(changes).toEqual(["closed > open", "open > half-open", "half-open > closed"]);
    expect(time.pending).toBe(0);
  });

  test("a trial that fails opens it again, for as long as before", () => {
    const { circuit, time, changes } = create();
    for (let count = 0; count < 3; count += 1) circuit.failed();
    time.advance(1000);
    circuit.begin();
    circuit.endTrial();
    circuit.failed();
    expect(circuit).toMatchObject({ state: "open", retryAfterMs: 1000 });
    time.advance(1000);
    expect(circuit).toMatchObject({ state: "half-open", admits: true });
    expect(changes).toHaveLength(4);
  });

  test("opens when too large a part of many requests fails, though never in a row", () => {
    const { circuit } = create();
    for (let count = 0; count < 5; count += 1) {
      expect(circuit.state).toBe("closed");
      circuit.succeeded();
      circuit.failed();
    }
    expect(circuit.state).toBe("open");
  });

  test("old failures do not count", () => {
    const { circuit, time } = create();
    for (let count = 0; count < 20; count += 1) {
      circuit.failed();
      circuit.succeeded();
      circuit.succeeded();
      time.advance(3000);
    }
    expect(circuit.state).toBe("closed");
  });

  test("it is never stuck: whatever happens, it admits a request within openMs once trials end", () => {
    const event = fc.constantFrom("fail", "succeed", "begin", "wait", "again");
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (events) => {
        const { circuit, time } = create();
        let running = 0;
        for (const one of events) {
          if (one === "begin" && circuit.admits && circuit.begin()) running += 1;
          else if (one === "wait") time.advance(300);
          else if (one === "again" && circuit.state === "open") circuit.tryAgain();
          else if (one === "fail" || one === "succeed") {
            if (running > 0) circuit.endTrial();
            running = Math.max(0, running - 1);
            if (one === "fail") circuit.failed();
            else circuit.succeeded();
          }
        }
        for (; running > 0; running -= 1) circuit.endTrial();
        time.advance(OPTIONS.openMs);
        expect(circuit.admits).toBe(true);
      }),
    );
  });

  test("its end leaves no timer behind", () => {
    const { circuit, time } = create();
    for (let count = 0; count < 3; count += 1) circuit.failed();
    expect(time.pending).toBe(1);
    circuit[Symbol.dispose]();
    expect(time.pending).toBe(0);
  });
});

describe("a trial that never ends", () => {
  test("holds up no other for longer than trialMs, nor for longer than openMs without it", () => {
    for (const [trialMs, limitMs] of [
      [undefined, 1000],
      [3000, 3000],
    ] as const) {
      const { circuit, time } = create(trialMs === undefined ? {} : { trialMs });
      for (let count = 0; count < 3; count += 1) circuit.failed();
      time.advance(1000);
      for (let round = 0; round < 3; round += 1) {
        expect(circuit.begin()).toBe(true);
        time.advance(limitMs - 1);
        expect(circuit).toMatchObject({ state: "half-open", admits: false, retryAfterMs: 1 });
        time.advance(1);
        expect(circuit.admits).toBe(true);
      }
      circuit.succeeded();
      expect(circuit.state).toBe("closed");
    }
  });

  test("it is never stuck, whatever happens and whatever never ends", () => {
    const event = fc.constantFrom("fail", "succeed", "begin", "end", "wait", "again");
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (events) => {
        const { circuit, time } = create({ trialMs: 2000 });
        for (const one of events) {
          if (one === "begin" && circuit.admits) circuit.begin();
          else if (one === "wait") time.advance(300);
          else if (one === "again" && circuit.state === "open") circuit.tryAgain();
          else if (one === "end") circuit.endTrial();
          else if (one === "fail") circuit.failed();
          else if (one === "succeed") circuit.succeeded();
        }
        time.advance(2000);
        expect(circuit.admits).toBe(true);
      }),
    );
  });
});
