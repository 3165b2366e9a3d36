import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { FaultContext, RaceProcessesOptions, RaceReport } from "../src/testing.ts";
import { assertFresh, raceProcesses } from "../src/testing.ts";
import { commandsOf, hasRedis, proxyOf, serverOf } from "./redis-support.ts";
import { Folder } from "./sqlite-folder.ts";

vi.setConfig({ testTimeout: 60_000 });

const execArgv = ["--conditions=@mcp-accel/source"];
const moduleOf = (name: string): URL => new URL(`./race/${name}.ts`, import.meta.url);
const quick = { rounds: 2, operations: 300, execArgv } as const;

const kill = { during: ({ pids: [pid = 0] }: FaultContext) => void process.kill(pid, "SIGKILL") };
const stop = { during: ({ pids: [pid = 0] }: FaultContext) => void process.kill(pid, "SIGSTOP") };
const hang = { during: () => new Promise<void>(() => {}) };

function expectFresh(report: RaceReport): void {
  assertFresh(report);
  expect(report.staleReads).toBe(0);
}

function folderOf(): string {
  const folder = new Folder();
  onTestFinished(() => folder[Symbol.dispose]());
  return folder.path;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("a race of processes", () => {
  test("finds nothing in one process with a cache of its own", async () => {
    const report = await raceProcesses({ ...quick, processes: 1, module: moduleOf("memory") });
    expectFresh(report);
    expect(report).toMatchObject({ unit: "ms", refused: 0, errors: [] });
  });

  test("finds the stale reads of processes that do not share their invalidations", async () => {
    const report = await raceProcesses({ ...quick, module: moduleOf("memory") });
    expect(report.staleReads).toBeGreaterThan(50);
    expect(report.longest).toBeGreaterThan(0);
    expect(() => assertFresh(report)).toThrow(
      /worker \d read .* ms after worker \d's invalidation/,
    );
  });

  test("tells the faults which round it is and which processes take part", async () => {
    const seen: string[] = [];
    const note = (when: string) => (context: FaultContext) => {
      seen.push(`${when} ${context.round} of ${context.pids.length}`);
    };
    await raceProcesses({
      ...quick,
      processes: 2,
      operations: 10,
      module: moduleOf("memory"),
      faults: { during: note("during"), between: note("between") },
    });
    expect(seen).toEqual(["during 0 of 2", "between 0 of 2", "during 1 of 2", "between 1 of 2"]);
  });

  test("goes on when a worker stands still for a while", async () => {
    const report = await raceProcesses({
      ...quick,
      module: moduleOf("sqlite"),
      data: folderOf(),
      faults: {
        during({ pids: [pid = 0] }) {
          process.kill(pid, "SIGSTOP");
          setTimeout(() => process.kill(pid, "SIGCONT"), 50);
        },
      },
    });
    expectFresh(report);
  });

  test.each([
    [
      "a module that is not there",
      { module: moduleOf("nowhere") },
      /worker \d, told to open: .*nowhere/s,
    ],
    ["a module without open", { module: moduleOf("../support") }, /a function named open/],
    ["a worker that ends", { module: moduleOf("memory"), faults: kill }, /exited with SIGKILL/],
    [
      "a fault that hangs",
      { module: moduleOf("memory"), faults: hang, limitMs: 2_000, roundMs: 100 },
      /faults\.during did not settle/,
    ],
    [
      "a worker that hangs",
      { module: moduleOf("memory"), faults: stop, limitMs: 2_000, roundMs: 100 },
      /no answer within 2100 ms/,
    ],
    ["no clocks", { module: moduleOf("memory"), clockOffsetsMs: [] }, /clockOffsetsMs: expected/],
  ] satisfies [string, RaceProcessesOptions, RegExp][])(
    "rejects with %s and leaves no process behind",
    async (_name, options, message) => {
      const pids: number[] = [];
      const faults = (options as RaceProcessesOptions).faults;
      const racing = raceProcesses({
        ...quick,
        ...options,
        processes: 2,
        faults: {
          during(context) {
            pids.push(...context.pids);
            return faults?.during?.(context);
          },
        },
      });
      await expect(racing).rejects.toMatchObject({
        code: "CACHE_RACE",
        message: expect.stringMatching(message),
      });
      expect(pids.filter(isAlive)).toEqual([]);
    },
  );
});

describe("G1 in three processes", () => {
  test("no read over one SQLite file returns what was invalidated before it began", async () => {
    const report = await raceProcesses({
      module: moduleOf("sqlite"),
      data: folderOf(),
      execArgv,
      refusedBindLocally: true,
    });
    expectFresh(report);
  });

  describe.runIf(hasRedis("races over Redis"))("over one Redis", () => {
    test("no strict read over @keyv/redis returns it, whatever happens to the server and the link", async () => {
      expectFresh(await raceOverRedis("redis-keyv", (port) => port));
    });

    test("no strict read over redisStore returns it, whatever happens to the server and the link", async () => {
      expectFresh(await raceOverRedis("redis-store", (port) => ({ port, consistency: "strict" })));
    });

    test("a mirrored read over redisStore returns it for less than the lease", async () => {
      const server = await serverOf();
      const report = await raceProcesses({
        module: moduleOf("redis-store"),
        data: { port: server.port, consistency: "mirrored" },
        execArgv,
        toleratedMs: 3_000,
        refusedBindLocally: true,
      });
      expectFresh(report);
    });
  });
});

/** Rounds in which all is well take turns with those in which the data is lost, the link is cut, and the server dies. */
async function raceOverRedis(name: string, dataOf: (port: number) => unknown): Promise<RaceReport> {
  const server = await serverOf();
  const proxy = await proxyOf(server);
  const commands = await commandsOf(server);
  const breaks: readonly (() => Promise<unknown>)[] = [
    async () => {},
    async () => commands("FLUSHALL"),
    async () => proxy.set("cut"),
    async () => {},
    async () => server.kill(),
    async () => {},
  ];
  return raceProcesses({
    module: moduleOf(name),
    data: dataOf(proxy.port),
    execArgv,
    rounds: breaks.length,
    operations: 400,
    refusedBindLocally: true,
    faults: {
      async during({ round }) {
        await requests(proxy, 100);
        await breaks[round]?.();
      },
      async between({ round }) {
        proxy.set("pass");
        if (round === 4) await server.start();
      },
    },
  });
}

/** Resolves when so many chunks have been sent to the server, or nobody sends any. */
function requests(proxy: Awaited<ReturnType<typeof proxyOf>>, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    proxy.onRequest = () => {
      if (--left === 0) resolve();
    };
    setTimeout(resolve, 2_000).unref();
  });
}
