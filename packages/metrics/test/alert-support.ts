import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { AlertEvent } from "../src/alerts.ts";
import type { Schedule } from "../src/alert-schedule.ts";
import type { FamilySnapshot, ScalarSnapshot } from "../src/index.ts";
import { promtoolProgram } from "../../../tools/services/prometheus.ts";

const run = promisify(execFile);

/** What promtool says, and whether it is content. `files` are written to a folder of their own first. */
export async function promtool(
  files: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const folder = mkdtempSync(join(tmpdir(), "promtool-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const { stdout, stderr } = await run(promtoolProgram ?? "promtool", args, { cwd: folder });
    return { ok: true, output: stdout + stderr };
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return { ok: false, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Timers that run when the test says so. */
export class FakeTimers {
  nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  readonly schedule: Schedule = (callback, delayMs) => {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs what is due within `ms`, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers]
        .filter(({ atMs }) => atMs <= endMs)
        .toSorted((left, right) => left.atMs - right.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.callback();
      await settle();
    }
    this.nowMs = endMs;
  }
}

/** Lets everything that waits for promises alone go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}

/** Families that a test sets; a source for `Alerts`. */
export class FakeSource {
  families: Record<string, FamilySnapshot> = {};
  reads = 0;

  async snapshot(): Promise<Record<string, FamilySnapshot>> {
    this.reads += 1;
    return structuredClone(this.families);
  }

  set(
    type: "counter" | "gauge",
    family: string,
    ...samples: readonly (number | ScalarSnapshot)[]
  ): void {
    const all = samples.map((one) => (typeof one === "number" ? { labels: {}, value: one } : one));
    this.families[family] = { type, help: "", unit: "", samples: all };
  }
}

export function alertEvent(changes: Partial<AlertEvent> = {}): AlertEvent {
  return {
    status: "firing",
    name: "DiskFull",
    severity: "warning",
    labels: { alertname: "DiskFull", severity: "warning", disk: "a" },
    annotations: { summary: "a disk is full", description: "clean up" },
    fingerprint: "f1",
    value: 0.9,
    startsAtMs: Date.UTC(2026, 0, 1),
    endsAtMs: undefined,
    reason: "condition",
    ...changes,
  };
}

/** The end of an alert, a minute after its beginning. */
export function ended(event: AlertEvent): AlertEvent {
  return { ...event, status: "resolved", endsAtMs: event.startsAtMs + 60_000 };
}
