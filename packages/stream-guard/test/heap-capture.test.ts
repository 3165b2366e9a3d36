import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CaptureRefusedError, InvalidArgumentError, LeakDetector } from "@mcp-accel/stream-guard";
import type { Headroom } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

const GIB = 2 ** 30;
const ample = (): Headroom => ({
  heapUsedBytes: 1,
  heapLimitBytes: 4 * GIB,
  availableBytes: 64 * GIB,
});

const scarce = (): Headroom => ({ ...ample(), availableBytes: 1000 });

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "heap-capture-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function detectorOf() {
  const time = new FakeTime();
  return { time, detector: new LeakDetector({ now: time.now, schedule: time.schedule }) };
}

describe("heap snapshots", () => {
  test("a small process's snapshot is whole, and for its owner alone", () => {
    const path = join(directory, "small.heapsnapshot");
    const script = `
      import { LeakDetector } from "@mcp-accel/stream-guard";
      await new LeakDetector().heapSnapshot(${JSON.stringify(path)});
    `;
    const args = ["--conditions=@mcp-accel/source", "--input-type=module", "--eval", script];
    const { status, stderr } = spawnSync(process.execPath, args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      timeout: 60_000,
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["small.heapsnapshot"]);
    expect(JSON.parse(readFileSync(path, "utf8"))).toHaveProperty("snapshot.meta");
  }, 90_000);

  test.each<[string, Partial<Headroom>, RegExp]>([
    [
      "the container has no room",
      { heapUsedBytes: 58e6, availableBytes: 900e6 },
      /may take 928000000 bytes, and 900000000 are available/,
    ],
    ["the heap is more than half full", { heapUsedBytes: 3 * GIB }, /more than half/],
  ])("it is refused when %s", async (_, room, message) => {
    const { detector } = detectorOf();
    const headroom = () => ({ ...ample(), ...room });
    const path = join(directory, "a.heapsnapshot");
    await expect(detector.heapSnapshot(path, { headroom })).rejects.toThrow(
      expect.objectContaining({
        code: "STREAM_GUARD_CAPTURE_REFUSED",
        reason: "headroom",
        message: expect.stringMatching(message),
      }),
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  test("a file that is there is not replaced", async () => {
    const { detector } = detectorOf();
    const path = join(directory, "a.heapsnapshot");
    writeFileSync(path, "mine");
    await expect(detector.heapSnapshot(path, { headroom: ample })).rejects.toThrow(
      expect.objectContaining({ reason: "exists" }),
    );
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  test.each(["relative.heapsnapshot", "/tmp/x.json", "/tmp/a\0.heapsnapshot", "", 1])(
    "the path %j is refused",
    async (path) => {
      const { detector } = detectorOf();
      await expect(detector.heapSnapshot(path as string)).rejects.toThrow(InvalidArgumentError);
    },
  );

  test("one that is aborted or cannot be written leaves no file, and frees the way for the next", async () => {
    const { detector } = detectorOf();
    const path = join(directory, "a.heapsnapshot");
    const controller = new AbortController();
    const taking = detector.heapSnapshot(path, { headroom: ample, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(taking).rejects.toThrow(/aborted/);
    expect(readdirSync(directory)).toEqual([]);
    const writing = new AbortController();
    const half = detector.heapSnapshot(path, { headroom: ample, signal: writing.signal });
    await until(() => readdirSync(directory).length > 0);
    writing.abort(new Error("enough"));
    await expect(half).rejects.toThrow(/aborted/);
    expect(readdirSync(directory)).toEqual([]);
    const nowhere = join(directory, "none", "a.heapsnapshot");
    await expect(detector.heapSnapshot(nowhere, { headroom: ample })).rejects.toThrow("ENOENT");
    expect(readdirSync(directory)).toEqual([]);
  }, 90_000);
});

describe("profiles", () => {
  test("a CPU profile and a heap profile hold what happened meanwhile", async () => {
    const { detector, time } = detectorOf();
    const cpu = detector.cpuProfile({ durationMs: 1000 });
    await waitForTimer(time);
    time.advance(1000);
    expect((await cpu).nodes.length).toBeGreaterThan(0);
    const heap = detector.heapProfile({ durationMs: 1000 });
    await waitForTimer(time);
    time.advance(1000);
    expect(await heap).toHaveProperty("head.children");
  });

  test("one at a time, and an aborted one makes room", async () => {
    const { detector, time } = detectorOf();
    const controller = new AbortController();
    const first = detector.cpuProfile({ signal: controller.signal });
    await expect(detector.heapProfile()).rejects.toThrow(
      expect.objectContaining({ reason: "busy" }),
    );
    await waitForTimer(time);
    controller.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
    expect(time.pending).toBe(0);
    await expect(detector.cpuProfile({ signal: controller.signal })).rejects.toThrow("enough");
    await expect(detector.heapProfile({ headroom: scarce })).rejects.toThrow(CaptureRefusedError);
  });

  test.each([0, 600_001, Number.NaN])("durationMs %d is refused", async (durationMs) => {
    const { detector } = detectorOf();
    await expect(detector.cpuProfile({ durationMs })).rejects.toThrow(InvalidArgumentError);
  });
});

async function waitForTimer(time: FakeTime): Promise<void> {
  while (time.pending === 0) await settle();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settle();
}
