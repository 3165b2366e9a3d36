import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import * as entry from "@mcp-accel/stream-guard";
import * as adapter from "@mcp-accel/stream-guard/mcp";

test("the exports are exactly these", () => {
  expect(Object.keys(entry).toSorted()).toEqual([
    "AcquireTimeoutError",
    "AdmissionError",
    "CaptureRefusedError",
    "DestinationClosedError",
    "DrainTimeoutError",
    "InvalidArgumentError",
    "LeakDetector",
    "MemoryLimitError",
    "MemoryMonitor",
    "MessageTooLargeError",
    "OverReleaseError",
    "PoolClosedError",
    "QueueFullError",
    "ReaderStalledError",
    "ResourcePool",
    "SessionClosedError",
    "StreamGuard",
    "StreamGuardError",
    "UploadStalledError",
    "memoryLimitBytes",
  ]);
  expect(Object.keys(adapter).toSorted()).toEqual([
    "BoundedEventStore",
    "BoundedLines",
    "SessionMap",
    "answerAdmission",
    "guardResponse",
    "guardTransport",
  ]);
});

test.each(["@mcp-accel/stream-guard", "@mcp-accel/stream-guard/mcp"])(
  "importing %s loads no SDK and leaves nothing running",
  (specifier) => {
    const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
    await import(${JSON.stringify(specifier)});
    console.log(JSON.stringify(loaded));
  `;
    const args = ["--conditions=@mcp-accel/source", "--input-type=module", "--eval", script];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      timeout: 30_000,
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const loaded = JSON.parse(stdout) as string[];
    const foreign = loaded.filter((url) => url.includes("/node_modules/"));
    expect(loaded.some((url) => url.includes("/stream-guard/src/"))).toBe(true);
    expect(foreign.filter((url) => !url.includes("/eventemitter3/"))).toEqual([]);
  },
);
