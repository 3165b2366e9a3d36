import { LeakDetector, StreamGuard } from "@mcp-accel/stream-guard";
import type { LeakDetectorOptions, LeakFinding } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "../fake-time.ts";

export const STEP_MS = 5 * 60_000;
const HOURS = 6;
const STEPS = (HOURS * 3_600_000) / STEP_MS;

export interface World {
  readonly guard: StreamGuard;
  readonly detector: LeakDetector;
  readonly time: FakeTime;
}

/** Sets a process up; what it returns runs every five minutes of virtual time. */
export type Scenario = (world: World) => (step: number) => void | Promise<void>;

export interface Outcome {
  readonly findings: readonly LeakFinding[];
  readonly told: readonly LeakFinding[];
}

/** Six hours of a scenario: real objects, a real heap and forced collections, on a virtual clock. */
export async function runScenario(scenario: Scenario): Promise<Outcome> {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({
    maxMemoryBytes: 1 << 30,
    idleTimeoutMs: 3_600_000,
    now,
    schedule,
  });
  let onMajor: (() => void) | undefined;
  const options: LeakDetectorOptions = {
    guard,
    now,
    schedule,
    stackSampleRatio: 1,
    collections: (listener) => {
      onMajor = listener;
      return () => {};
    },
  };
  const detector = new LeakDetector(options).start();
  const told: LeakFinding[] = [];
  detector.on("leak", (finding) => told.push(finding));
  const step = scenario({ guard, detector, time });
  for (let count = 0; count < STEPS; count += 1) {
    await step(count);
    await settle();
    collect();
    await settle();
    onMajor?.();
    time.advance(STEP_MS);
  }
  detector.check();
  const findings = detector.report();
  detector.stop();
  return { findings, told };
}

function collect(): void {
  if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
  globalThis.gc();
}
