import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { describe, expect, test } from "vitest";
import { LeakDetector, StreamGuard } from "@mcp-accel/stream-guard";
import { BoundedEventStore } from "@mcp-accel/stream-guard/mcp";
import type { LeakDetectorOptions, LeakFinding, ScalarFamily } from "@mcp-accel/stream-guard";
import { placeOf } from "../src/leak-origin.ts";
import { FakeTime } from "./fake-time.ts";

const MINUTE_MS = 60_000;
const MIB = 1024 * 1024;

function parts(options: LeakDetectorOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ now, schedule, idleTimeoutMs: 24 * 60 * MINUTE_MS });
  let onMajor: (() => void) | undefined;
  const heap = { heapUsedBytes: 50 * MIB, externalBytes: 0 };
  const detector = new LeakDetector({
    guard,
    now,
    schedule,
    stackSampleRatio: 1,
    limitBytes: 4096 * MIB,
    sampleHeap: () => heap,
    collections: (listener) => {
      onMajor = listener;
      return () => {
        onMajor = undefined;
      };
    },
    ...options,
  }).start();
  const told: LeakFinding[] = [];
  detector.on("leak", (finding) => told.push(finding));
  return { time, guard, detector, heap, told, collect: () => onMajor?.() };
}

describe("findings", () => {
  test("one is told when it begins, is over when it ends, and is told again when it comes back", () => {
    const { time, guard, detector, told } = parts();
    const session = guard.open({ id: "a" });
    session.reserve(1000);
    time.advance(12 * MINUTE_MS);
    time.advance(60 * MINUTE_MS);
    expect(told).toHaveLength(1);
    expect(detector.report()).toMatchObject([{ kind: "heldBytes", active: true, times: 1 }]);
    session.release(500);
    time.advance(MINUTE_MS);
    expect(detector.report()).toMatchObject([{ active: false }]);
    expect(detector.check()).toEqual([]);
    time.advance(12 * MINUTE_MS);
    expect(told).toHaveLength(2);
    expect(detector.report()).toMatchObject([
      { active: true, times: 2, evidence: { bytes: 500, sessions: 1, examples: "a" } },
    ]);
  });

  test("sessions of one place are one finding, and those of others are others", () => {
    const { time, guard, told } = parts();
    function first() {
      guard.open().reserve(1);
    }
    function second() {
      guard.open().reserve(1);
    }
    for (let count = 0; count < 5; count += 1) first();
    second();
    time.advance(12 * MINUTE_MS);
    expect(told.map(({ place, evidence }) => [place.split(" ")[0], evidence["sessions"]])).toEqual([
      ["first", 5],
      ["second", 1],
    ]);
  });

  test("what was not sampled is still found, without a place", () => {
    const { time, guard, detector, told } = parts({ stackSampleRatio: 0 });
    guard.open().reserve(1);
    detector.track({}, { kind: "file", maxOpenMs: 1000 });
    time.advance(12 * MINUTE_MS);
    expect(told.map(({ kind, place, stack }) => [kind, place, stack])).toEqual([
      ["openHandle", "file (place not sampled)", undefined],
      ["heldBytes", "session (place not sampled)", undefined],
    ]);
    expect(detector.stats().places).toBe(0);
  });

  test("bytes charged to no session are a finding of the ledger", () => {
    const guard = new StreamGuard();
    const faulty = {
      on: guard.on.bind(guard),
      off: guard.off.bind(guard),
      sessions: () => guard.sessions(),
      stats: () => ({ ...guard.stats(), usedBytes: 10 }),
    } as unknown as StreamGuard;
    const { detector } = parts({ guard: faulty });
    expect(detector.check()).toMatchObject([
      { kind: "ledger", place: "ledger", evidence: { keptBytes: 10, chargedBytes: 0 } },
    ]);
  });

  test("a listener that throws does not stop the detector", () => {
    const { time, guard, detector } = parts();
    detector.on("leak", () => {
      throw new Error("no");
    });
    guard.open().reserve(1);
    time.advance(12 * MINUTE_MS);
    expect(detector.stats()).toMatchObject({ checks: 12, active: { heldBytes: 1 } });
  });

  test("the text says what, where, since when and by which numbers", () => {
    const { time, guard, detector } = parts();
    expect(detector.text()).toBe("no leaks found");
    guard.open({ id: "a" }).reserve(7);
    time.advance(12 * MINUTE_MS);
    expect(detector.text()).toMatch(
      /^heldBytes: sessions hold memory and do not move\n {2}at .*leak-detector\.test\.ts:\d+:\d+\)?\n {2}since 1970-01-01T00:\d\d:\d\d.\d{3}Z\n {2}sessions 1, bytes 7, stillMs \d+, examples a\n/,
    );
  });
});

describe("bounds", () => {
  test("no more is watched, and no more findings are kept, than was said", () => {
    const { time, detector, guard } = parts({ maxTracked: 10, maxFindings: 2, maxStacks: 1 });
    const objects = Array.from({ length: 25 }, () => ({}));
    for (const [index, object] of objects.entries())
      detector.track(object, { kind: `kind-${index % 5}`, maxOpenMs: 1 });
    expect(detector.stats()).toMatchObject({ handles: 10, untracked: 15, places: 1 });
    for (let count = 0; count < 20; count += 1) void guard.open().close();
    expect(detector.stats()).toMatchObject({ closed: 10, untracked: 25 });
    guard.open().reserve(1);
    guard.open().begin();
    time.advance(62 * MINUTE_MS);
    expect(detector.report()).toHaveLength(2);
    expect(detector.stats().untracked).toBeGreaterThan(25);
  });

  test("a finding that is over gives way to a new one", () => {
    const { time, detector, guard } = parts({ maxFindings: 1, openTimeoutMs: MINUTE_MS });
    const session = guard.open();
    time.advance(2 * MINUTE_MS);
    expect(detector.report()).toMatchObject([{ kind: "openSession" }]);
    void session.close();
    const handle = {};
    detector.track(handle, { kind: "file", maxOpenMs: MINUTE_MS });
    time.advance(3 * MINUTE_MS);
    expect(detector.report()).toMatchObject([{ kind: "openHandle" }]);
    expect(handle).toEqual({});
  });
});

describe("zombies", () => {
  test("what was closed has three major collections and a minute", () => {
    const { time, guard, detector, collect } = parts();
    const kept = Array.from({ length: 4 }, () => guard.open());
    for (const session of kept) void session.close();
    for (let count = 0; count < 3; count += 1) collect();
    expect(detector.check()).toEqual([]);
    time.advance(MINUTE_MS);
    expect(detector.check()).toMatchObject([{ kind: "zombie", evidence: { reachable: 4 } }]);
    expect(kept).toHaveLength(4);
  });

  test("two collections are not enough, and two zombies are not a leak", () => {
    const { time, guard, detector, collect } = parts();
    const open = () => guard.open();
    const kept = [open(), open()];
    const close = () => kept.map((session) => session.close());
    void close();
    for (let count = 0; count < 3; count += 1) collect();
    kept.push(open());
    void close();
    for (let count = 0; count < 2; count += 1) collect();
    time.advance(2 * MINUTE_MS);
    expect(detector.check()).toEqual([]);
    collect();
    expect(detector.check()).toMatchObject([{ kind: "zombie", evidence: { reachable: 3 } }]);
    expect(kept).toHaveLength(3);
  });
});

test("with the real collections of a process, sessions kept by an array are found", () => {
  const script = `
    import { LeakDetector, StreamGuard } from "@mcp-accel/stream-guard";
    const guard = new StreamGuard();
    const detector = new LeakDetector({ guard, stackSampleRatio: 1, zombieAfterMs: 1 }).start();
    const kept = [];
    for (let count = 0; count < 5; count += 1) {
      kept.push(guard.open());
      await kept.at(-1).close();
      await guard.open().close();
    }
    while (detector.stats().collections < 4 || detector.stats().closed > 5) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const found = detector.check();
    console.log(JSON.stringify([found.map(({ kind, evidence }) => [kind, evidence.reachable]), detector.stats(), kept.length]));
  `;
  const flags = ["--conditions=@mcp-accel/source", "--expose-gc", "--input-type=module"];
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, "--eval", script], {
    cwd: import.meta.dirname,
    encoding: "utf8",
    timeout: 30_000,
  });
  expect(stderr).toBe("");
  const [found, stats] = JSON.parse(stdout) as [unknown, { heapUsedBytes: number }];
  expect(found).toEqual([["zombie", 5]]);
  expect(stats.heapUsedBytes).toBeGreaterThan(MIB);
});

describe("handles", () => {
  test("closing retracts, by call, by `using` or by the event `close`", () => {
    const { detector, time } = parts({ handleTimeoutMs: MINUTE_MS });
    const emitter = new EventEmitter();
    const kept = [{}, {}, emitter];
    detector.track(kept[0] as object, { kind: "file" }).close();
    {
      using handle = detector.track(kept[1] as object, { kind: "file" });
      expect(handle).toBeDefined();
    }
    detector.track(emitter, { kind: "socket" });
    expect(detector.stats().handles).toBe(1);
    emitter.emit("close");
    time.advance(5 * MINUTE_MS);
    expect(detector.stats()).toMatchObject({ handles: 0, closed: 3 });
    expect(detector.report()).toEqual([]);
  });

  test("one that is open for too long is named with its kind", () => {
    const { detector, time, told } = parts();
    const handle = {};
    detector.track(handle, { kind: "socket", name: "upstream:443" });
    time.advance(59 * MINUTE_MS);
    expect(told).toEqual([]);
    time.advance(2 * MINUTE_MS);
    expect(told).toMatchObject([
      { kind: "openHandle", evidence: { what: "socket", handles: 1, examples: "upstream:443" } },
    ]);
    expect(handle).toEqual({});
  });
});

function leastOfInterest(limitBytes: number): number {
  const { detector, collect } = parts({ limitBytes });
  collect();
  return detector.stats().heapMinBytesPerHour;
}

describe("the heap", () => {
  test("a ramp is found, and it is said which memory grows, how fast and until when", () => {
    const { time, heap, told, collect } = parts();
    for (let step = 0; step < 48; step += 1) {
      collect();
      heap.externalBytes += 0.5 * MIB;
      time.advance(5 * MINUTE_MS);
    }
    expect(told).toMatchObject([
      {
        kind: "heap",
        place: "external memory (buffers)",
        evidence: { externalShare: 1, hoursToLimit: expect.any(Number), stepsForgiven: 0 },
      },
    ]);
    expect(told[0]?.evidence["bytesPerHour"]).toBeCloseTo(6 * MIB, -3);
  });

  test("growth that the ledger or the load explains is none", () => {
    const load = { value: 0 };
    const { time, heap, guard, told, collect } = parts({ load: () => load.value });
    const session = guard.open();
    for (let step = 0; step < 48; step += 1) {
      collect();
      session.reserve(4096);
      load.value = 10 * step + ((step * 7) % 5);
      heap.heapUsedBytes = 50 * MIB + load.value * 100_000 + session.memoryUsageBytes;
      time.advance(5 * MINUTE_MS);
    }
    expect(told).toEqual([]);
  });

  test("the less headroom there is, the less growth is of interest", () => {
    expect([60, 482, 8192].map((mib) => leastOfInterest(mib * MIB))).toEqual([
      128 * 1024,
      (432 / 720) * MIB,
      MIB,
    ]);
  });
});

describe("start and stop", () => {
  test("one timer while it runs; nothing is heard, watched or pending afterwards", () => {
    const { time, guard, detector, collect } = parts();
    detector.start();
    expect(time.pending).toBe(1);
    expect(guard.listenerCount("open")).toBe(1);
    detector.track({}, { kind: "file" });
    void guard.open().close();
    detector[Symbol.dispose]();
    detector.stop();
    expect(guard.listenerCount("open") + guard.listenerCount("close")).toBe(0);
    collect();
    detector.track({}, { kind: "file" }).close();
    expect(detector.stats()).toMatchObject({ collections: 0, handles: 0, closed: 0 });
    time.advance(10 * MINUTE_MS);
    expect(time.pending).toBe(0);
    detector.start();
    expect(time.pending).toBe(1);
  });

  test("nothing listens to what was watched, and a close after the stop or the next start is no event", () => {
    const { time, detector, collect } = parts({ handleTimeoutMs: MINUTE_MS, minZombies: 1 });
    const emitters = Array.from({ length: 3 }, () => new EventEmitter());
    const [first] = emitters.map((emitter) => detector.track(emitter, { kind: "socket" }));
    detector.stop();
    for (const emitter of emitters) expect(emitter.listenerCount("close")).toBe(0);
    first?.close();
    emitters[1]?.emit("close");
    expect(detector.stats()).toMatchObject({ handles: 0, closed: 0 });
    detector.start();
    first?.close();
    emitters[1]?.emit("close");
    expect(detector.stats()).toMatchObject({ handles: 0, closed: 0 });
    detector.track(emitters[0] as object, { kind: "socket" });
    expect(emitters[0]?.listenerCount("close")).toBe(1);
    first?.close();
    expect(detector.stats()).toMatchObject({ handles: 1, closed: 0 });
    emitters[0]?.emit("close");
    expect(detector.stats()).toMatchObject({ handles: 0, closed: 1 });
    time.advance(2 * MINUTE_MS);
    for (let count = 0; count < 4; count += 1) collect();
    expect(detector.check()).toMatchObject([{ kind: "zombie" }]);
  });

  test("a session opened before it started is found too", () => {
    const { time, guard, detector, told } = parts();
    detector.stop();
    guard.open().reserve(1);
    detector.start();
    time.advance(12 * MINUTE_MS);
    expect(told).toMatchObject([
      { kind: "heldBytes", place: "session (opened before the detector started)" },
    ]);
  });
});

test("the metrics tell the findings by kind", () => {
  const { time, guard, detector } = parts();
  guard.open().reserve(1);
  time.advance(12 * MINUTE_MS);
  const values = Object.fromEntries(
    detector
      .metricFamilies()
      .map((family) => [family.name, (family as ScalarFamily).read()] as const),
  );
  expect(values["stream_guard_leak_findings"]).toContainEqual({
    value: 1,
    labels: { kind: "heldBytes" },
  });
  expect(values["stream_guard_leaks_total"]).toHaveLength(7);
  expect(values["stream_guard_leak_heap_hourly_growth_bytes"]).toEqual([{ value: 0 }]);
});

describe("places", () => {
  test.each<[string, string]>([
    ["    at serve (file:///app/server.ts:3:9)", "serve (/app/server.ts:3:9)"],
    ["    at file:///app/main.ts:1:1", "/app/main.ts:1:1"],
    [
      "    at lib (/app/node_modules/lib/index.js:1:1)\n    at async Server.run (/app/server.js:2:2)",
      "async Server.run (/app/server.js:2:2)",
    ],
    ["    at lib (/app/node_modules/lib/index.js:1:1)", "lib (/app/node_modules/lib/index.js:1:1)"],
    ["    at node:internal/timers:1:1\n    at <anonymous>", "(place not sampled)"],
  ])("%s", (stack, place) => {
    expect(placeOf(stack)).toBe(place);
  });
});

describe("bad input", () => {
  test.each<[string, LeakDetectorOptions]>([
    ["guard", { guard: {} as never }],
    ["intervalMs", { intervalMs: 0 }],
    ["holdTimeoutMs", { holdTimeoutMs: Number.NaN }],
    ["openTimeoutMs", { openTimeoutMs: -1 }],
    ["handleTimeoutMs", { handleTimeoutMs: Number.POSITIVE_INFINITY }],
    ["zombieAfterMs", { zombieAfterMs: 0 }],
    ["rearmMs", { rearmMs: "1" as never }],
    ["zombieCollections", { zombieCollections: 1 }],
    ["minZombies", { minZombies: 0 }],
    ["stackSampleRatio", { stackSampleRatio: 1.1 }],
    ["maxStacks", { maxStacks: 10_001 }],
    ["maxTracked", { maxTracked: 1.5 }],
    ["maxFindings", { maxFindings: 0 }],
    ["heapHorizonHours", { heapHorizonHours: 9000 }],
    ["limitBytes", { limitBytes: 0 }],
    ["load", { load: 1 as never }],
    ["sampleHeap", { sampleHeap: 1 as never }],
    ["collections", { collections: 1 as never }],
    ["now", { now: 1 as never }],
    ["random", { random: 1 as never }],
    ["schedule", { schedule: 1 as never }],
  ])("the wrong option %s is named", (argument, options) => {
    expect(() => new LeakDetector(options)).toThrow(expect.objectContaining({ argument }));
  });

  test.each<[string, unknown, unknown]>([
    ["object", 1, { kind: "file" }],
    ["object", null, { kind: "file" }],
    ["kind", {}, { kind: "" }],
    ["name", {}, { kind: "file", name: "x".repeat(101) }],
    ["maxOpenMs", {}, { kind: "file", maxOpenMs: 0 }],
  ])("track names the wrong %s", (argument, object, options) => {
    const { detector } = parts();
    expect(() => detector.track(object as object, options as never)).toThrow(
      expect.objectContaining({ argument }),
    );
  });
});

describe("what is used again and again", () => {
  test("an object that is tracked for each use is one tracking, leaves no listeners and is one zombie at most", () => {
    const { time, detector, collect } = parts();
    const socket = new EventEmitter();
    for (let count = 0; count < 20; count += 1) detector.track(socket, { kind: "use" }).close();
    expect(socket.listenerCount("close")).toBe(0);
    expect(detector.stats()).toMatchObject({ handles: 0, closed: 1 });
    for (let count = 0; count < 20; count += 1) detector.track(socket, { kind: "use" });
    expect(socket.listenerCount("close")).toBe(1);
    expect(detector.stats()).toMatchObject({ handles: 1, closed: 0 });
    socket.emit("close");
    expect(detector.stats()).toMatchObject({ handles: 0, closed: 1 });
    time.advance(2 * MINUTE_MS);
    for (let count = 0; count < 4; count += 1) collect();
    expect(detector.check()).toEqual([]);
  });

  test("a history event of a call that says nothing more for long is no leak", async () => {
    const { time, guard, told } = parts();
    const session = guard.open();
    const store = new BoundedEventStore(session, { now: time.now });
    await store.storeEvent("s", { progress: 1 });
    session.begin();
    time.advance(20 * MINUTE_MS);
    expect(told).toEqual([]);
  });

  test("a history that is kept for longer is none either, when sessions may hold for longer still", async () => {
    const { time, guard, told } = parts({ holdTimeoutMs: 35 * MINUTE_MS });
    const session = guard.open();
    const store = new BoundedEventStore(session, { now: time.now, maxAgeMs: 30 * MINUTE_MS });
    await store.storeEvent("s", { progress: 1 });
    time.advance(60 * MINUTE_MS);
    expect(told).toEqual([]);
    expect(session.memoryUsageBytes).toBe(0);
  });
});
