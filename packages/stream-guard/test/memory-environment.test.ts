import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { InvalidArgumentError, MemoryMonitor } from "@mcp-accel/stream-guard";
import type { MemoryMonitorStats } from "@mcp-accel/stream-guard";
import { memoryCgroups } from "../src/cgroup.ts";
import { containerLimitBytes, memoryBounds } from "../src/memory-limits.ts";
import { FakeTime } from "./fake-time.ts";

const MIB = 1024 * 1024;
const NONE_1 = "9223372036854771712";

type Files = Record<string, string>;

const V2_MOUNT = "31 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
const V1_MOUNT =
  "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory";
const V1_CPU_MOUNT = "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";

function proc(cgroup: string, ...mounts: readonly string[]): Files {
  return { "/proc/self/cgroup": `${cgroup}\n`, "/proc/self/mountinfo": `${mounts.join("\n")}\n` };
}

/** The files of a group, from what they say. */
function group(folder: string, values: Record<string, number | string>): Files {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${folder}/${name}`, `${value}\n`]),
  );
}

const reader = (files: Files) => (path: string) => files[path];

function monitorOf(files: Files, rssBytes = 10 * MIB) {
  const { now, schedule } = new FakeTime();
  const environment = {
    read: reader(files),
    heapLimitBytes: () => 4096 * MIB,
    constrainedBytes: () => 0,
    machineBytes: () => 8192 * MIB,
  };
  const memory = { heapUsedBytes: MIB, rssBytes };
  const sample = () => ({ ...memory });
  return {
    monitor: new MemoryMonitor({ environment, sample, now, schedule }),
    memory,
    environment,
  };
}

describe("which control groups count", () => {
  test.each<[string, Files, readonly string[]]>([
    ["version 2, in a namespace of its own", proc("0::/", V2_MOUNT), ["2 /sys/fs/cgroup"]],
    [
      "version 2, nested: all up to the root",
      proc("0::/user.slice/user-1000.slice/app.service", V2_MOUNT),
      [
        "2 /sys/fs/cgroup/user.slice/user-1000.slice/app.service",
        "2 /sys/fs/cgroup/user.slice/user-1000.slice",
        "2 /sys/fs/cgroup/user.slice",
        "2 /sys/fs/cgroup",
      ],
    ],
    [
      "version 1, whatever the other controllers say",
      proc("4:memory:/docker/abc\n1:cpu:/elsewhere", V1_CPU_MOUNT, V1_MOUNT),
      [
        "1 /sys/fs/cgroup/memory/docker/abc",
        "1 /sys/fs/cgroup/memory/docker",
        "1 /sys/fs/cgroup/memory",
      ],
    ],
    [
      "version 1, several controllers in one hierarchy",
      proc("3:cpu,memory:/a", "3 1 0:1 / /cg rw - cgroup none rw,cpu,memory"),
      ["1 /cg/a", "1 /cg"],
    ],
    [
      "both, as systemd's hybrid has them",
      proc(
        "4:memory:/a\n0::/b",
        V1_MOUNT,
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
      ),
      [
        "1 /sys/fs/cgroup/memory/a",
        "1 /sys/fs/cgroup/memory",
        "2 /sys/fs/cgroup/unified/b",
        "2 /sys/fs/cgroup/unified",
      ],
    ],
    [
      "a container that sees the host's path, of which a part is mounted",
      proc("4:memory:/docker/abc/inner", V1_MOUNT.replace(" / ", " /docker/abc ")),
      ["1 /sys/fs/cgroup/memory/inner", "1 /sys/fs/cgroup/memory"],
    ],
    ["a path outside of what is mounted", proc("0::/../sibling", V2_MOUNT), ["2 /sys/fs/cgroup"]],
    [
      "a mounted part that only begins like the path",
      proc("4:memory:/docker/abcdef", V1_MOUNT.replace(" / ", " /docker/abc ")),
      ["1 /sys/fs/cgroup/memory"],
    ],
    [
      "names with spaces and colons",
      proc("0::/my app:1", "31 23 0:27 / /sys/fs/cg\\040roup rw - cgroup2 cgroup2 rw"),
      ["2 /sys/fs/cg roup/my app:1", "2 /sys/fs/cg roup"],
    ],
    ["nothing readable", {}, ["2 /sys/fs/cgroup", "1 /sys/fs/cgroup/memory"]],
    [
      "nonsense",
      { "/proc/self/cgroup": "\n::\nx:y:z\n", "/proc/self/mountinfo": "- - -\n1 2\n" },
      ["2 /sys/fs/cgroup", "1 /sys/fs/cgroup/memory"],
    ],
  ])("%s", (_, files, expected) => {
    const found = memoryCgroups(reader(files)).map(({ version, folder }) => `${version} ${folder}`);
    expect(found).toEqual(expected);
  });
});

describe("which limit counts", () => {
  const nested = proc("0::/a/b", V2_MOUNT);
  test.each<[string, Files, number | undefined]>([
    [
      "the smallest on the way up",
      {
        ...nested,
        ...group("/sys/fs/cgroup/a/b", { "memory.max": "max", "memory.high": "max" }),
        ...group("/sys/fs/cgroup/a", { "memory.max": 64 * MIB, "memory.high": "max" }),
        ...group("/sys/fs/cgroup", { "memory.max": 80 * MIB }),
      },
      64 * MIB,
    ],
    [
      "memory.high too, when it is less than memory.max",
      {
        ...nested,
        ...group("/sys/fs/cgroup/a/b", { "memory.max": 64 * MIB, "memory.high": 48 * MIB }),
      },
      48 * MIB,
    ],
    [
      "none, when all say max",
      { ...nested, ...group("/sys/fs/cgroup/a/b", { "memory.max": "max" }) },
      undefined,
    ],
    ["none, when nothing can be read", nested, undefined],
    [
      "version 1's, and its number for none is none",
      {
        ...proc("4:memory:/a", V1_MOUNT),
        ...group("/sys/fs/cgroup/memory/a", { "memory.limit_in_bytes": NONE_1 }),
        ...group("/sys/fs/cgroup/memory", { "memory.limit_in_bytes": 96 * MIB }),
      },
      96 * MIB,
    ],
    [
      "version 1's limit of a group that cannot be seen",
      {
        ...proc("4:memory:/a", V1_MOUNT),
        ...group("/sys/fs/cgroup/memory/a", {
          "memory.limit_in_bytes": NONE_1,
          "memory.stat": `cache 5\nhierarchical_memory_limit ${32 * MIB}\ntotal_inactive_file 7`,
        }),
      },
      32 * MIB,
    ],
    [
      "not that of a version 1 group which leaves the groups inside it alone",
      {
        ...proc("4:memory:/a", V1_MOUNT),
        ...group("/sys/fs/cgroup/memory/a", { "memory.limit_in_bytes": 96 * MIB }),
        ...group("/sys/fs/cgroup/memory", {
          "memory.limit_in_bytes": 16 * MIB,
          "memory.use_hierarchy": 0,
        }),
      },
      96 * MIB,
    ],
    [
      "in a hybrid whichever has one",
      {
        ...proc(
          "4:memory:/a\n0::/",
          V1_MOUNT,
          "4 3 0:3 / /sys/fs/cgroup/unified rw - cgroup2 c rw",
        ),
        ...group("/sys/fs/cgroup/memory/a", { "memory.limit_in_bytes": 24 * MIB }),
      },
      24 * MIB,
    ],
    [
      "none, when a limit is nonsense",
      { ...nested, ...group("/sys/fs/cgroup/a", { "memory.max": "lots" }) },
      undefined,
    ],
  ])("%s", (_, files, expected) => {
    expect(containerLimitBytes(reader(files))).toBe(expected);
  });

  test("what Node finds counts when it is less than all that was read", () => {
    const { environment } = monitorOf({
      ...nested,
      ...group("/sys/fs/cgroup/a", { "memory.max": 64 * MIB }),
    });
    const smallest = (constrained: number) =>
      Math.min(
        ...memoryBounds({ ...environment, constrainedBytes: () => constrained }).map(
          ({ limitBytes }) => limitBytes,
        ),
      );
    expect(smallest(32 * MIB)).toBe(32 * MIB);
    for (const constrained of [0, 128 * MIB, 2 ** 64, Number.NaN])
      expect(smallest(constrained)).toBe(64 * MIB);
  });
});

describe("what is held against it", () => {
  const nested = proc("0::/a/b", V2_MOUNT);

  test("the working set of the group: its charge without the inactive files", () => {
    const { monitor } = monitorOf({
      ...nested,
      ...group("/sys/fs/cgroup/a/b", {
        "memory.max": 100 * MIB,
        "memory.current": 95 * MIB,
        "memory.stat": `anon 1\ninactive_file ${20 * MIB}\nactive_file 3`,
      }),
    });
    expect(monitor.check()).toBe("elevated");
    expect(monitor.stats()).toMatchObject({
      ratio: 0.75,
      boundUsedBytes: 75 * MIB,
      boundLimitBytes: 100 * MIB,
      rssLimitBytes: 100 * MIB,
    });
  });

  test("the tightest group decides, not the smallest: others may fill the one around", () => {
    const { monitor } = monitorOf({
      ...nested,
      ...group("/sys/fs/cgroup/a/b", { "memory.max": 100 * MIB, "memory.current": 40 * MIB }),
      ...group("/sys/fs/cgroup/a", { "memory.max": 200 * MIB, "memory.current": 190 * MIB }),
    });
    expect(monitor.check()).toBe("critical");
    expect(monitor.stats()).toMatchObject({ boundLimitBytes: 200 * MIB, rssLimitBytes: 100 * MIB });
  });

  test("the resident set, where the charge cannot be read", () => {
    const files = { ...nested, ...group("/sys/fs/cgroup/a/b", { "memory.max": 100 * MIB }) };
    expect(monitorOf(files, 85 * MIB).monitor.check()).toBe("high");
  });

  test("the same in version 1", () => {
    const { monitor } = monitorOf({
      ...proc("4:memory:/a", V1_MOUNT),
      ...group("/sys/fs/cgroup/memory/a", {
        "memory.limit_in_bytes": 100 * MIB,
        "memory.usage_in_bytes": 90 * MIB,
        "memory.stat": `inactive_file 1\ntotal_inactive_file ${5 * MIB}`,
      }),
    });
    expect(monitor.check()).toBe("high");
    expect(monitor.stats().boundUsedBytes).toBe(85 * MIB);
  });

  test("the machine's memory, where nothing else is a limit", () => {
    const { monitor } = monitorOf({}, 8000 * MIB);
    expect(monitor.check()).toBe("critical");
  });

  test("limits that change while it runs count from the next check", () => {
    const files: Files = {
      ...nested,
      ...group("/sys/fs/cgroup/a/b", { "memory.max": 100 * MIB, "memory.current": 50 * MIB }),
    };
    const { monitor } = monitorOf(files);
    expect(monitor.check()).toBe("normal");
    files["/sys/fs/cgroup/a/b/memory.max"] = String(60 * MIB);
    expect(monitor.check()).toBe("high");
    files["/sys/fs/cgroup/a/b/memory.max"] = "max";
    expect(monitor.check()).toBe("normal");
    files["/sys/fs/cgroup/a/memory.high"] = String(52 * MIB);
    files["/sys/fs/cgroup/a/memory.current"] = String(51 * MIB);
    expect(monitor.check()).toBe("critical");
    delete files["/proc/self/mountinfo"];
    expect(monitor.check()).toBe("normal");
  });
});

describe("a sample that is none", () => {
  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY, "1", undefined])(
    "%s is refused and changes nothing",
    (rssBytes) => {
      const { monitor, memory } = monitorOf({}, 8000 * MIB);
      monitor.check();
      Object.assign(memory, { rssBytes });
      expect(() => monitor.check()).toThrow(InvalidArgumentError);
      expect(monitor.stats()).toMatchObject({ level: "critical", checks: 1 });
    },
  );

  test("while it runs by itself it goes on at the next interval", () => {
    const time = new FakeTime();
    let broken = true;
    const monitor = new MemoryMonitor({
      limitBytes: 100,
      intervalMs: 10,
      now: time.now,
      schedule: time.schedule,
      sample: () => {
        if (broken) throw new Error("no sample");
        return { heapUsedBytes: 0, rssBytes: 95 };
      },
    });
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    monitor.start();
    time.advance(10);
    expect(warn).toHaveBeenCalledTimes(2);
    warn.mockRestore();
    broken = false;
    time.advance(10);
    monitor.stop();
    expect(monitor.level).toBe("critical");
  });
});

const parent = realGroup();
// Nothing that could be installed: a container may not make control groups, so that this is never required.
if (parent === undefined)
  process.stderr.write(
    "a real control group: skipped, there is none with a memory controller in which others can be made\n",
  );

describe.skipIf(parent === undefined)("a real control group", () => {
  const folder = join(parent?.folder ?? "", `stream-guard-${process.pid}`);
  const inner = join(folder, "inner");
  const version = parent?.version ?? 2;
  const limitFile = version === 2 ? "memory.max" : "memory.limit_in_bytes";

  afterAll(() => {
    for (const made of [inner, folder]) rmdirSync(made);
  });

  test("a child finds the limit around its own group, and sees it change", () => {
    mkdirSync(folder);
    if (version === 2) writeFileSync(join(folder, "cgroup.subtree_control"), "+memory");
    mkdirSync(inner);
    writeFileSync(join(folder, limitFile), String(300 * MIB));
    const script = `
      import { writeFileSync } from "node:fs";
      import { MemoryMonitor, memoryLimitBytes } from "@mcp-accel/stream-guard";
      const monitor = new MemoryMonitor();
      monitor.check();
      const before = { limit: memoryLimitBytes(), ...monitor.stats() };
      const held = Buffer.alloc(${100 * MIB}, 1);
      monitor.check();
      const after = { ...monitor.stats() };
      writeFileSync(${JSON.stringify(join(folder, limitFile))}, String(${200 * MIB}));
      monitor.check();
      console.log(JSON.stringify({ before, after, changed: monitor.stats().boundLimitBytes, held: held.length }));
    `;
    // The shell joins the group first, so that all memory of the process is charged to it.
    const enter = `echo $$ > ${join(inner, "cgroup.procs")} && exec "$@"`;
    const node = [process.execPath, "--conditions=@mcp-accel/source", "--input-type=module"];
    const child = spawnSync("/bin/sh", ["-c", enter, "sh", ...node, "--eval", script], {
      cwd: import.meta.dirname,
      encoding: "utf8",
      timeout: 60_000,
    });
    expect(child.stderr).toBe("");
    const { before, after, changed } = JSON.parse(child.stdout) as {
      before: MemoryMonitorStats & { limit: number };
      after: MemoryMonitorStats;
      changed: number;
    };
    expect(before.limit).toBe(300 * MIB);
    expect(before.boundLimitBytes).toBe(300 * MIB);
    expect(before.boundUsedBytes).toBeGreaterThan(0);
    expect(after.boundUsedBytes - before.boundUsedBytes).toBeGreaterThan(80 * MIB);
    expect(after.boundUsedBytes).toBeLessThan(300 * MIB);
    expect(changed).toBe(200 * MIB);
  });
});

/** The group, of either version, in which groups with a limit can be made; undefined on most machines. */
function realGroup(): { readonly version: 1 | 2; readonly folder: string } | undefined {
  const candidates = [
    { version: 2, folder: "/sys/fs/cgroup", file: "memory.max" },
    { version: 1, folder: "/sys/fs/cgroup/memory", file: "memory.limit_in_bytes" },
  ] as const;
  return candidates.find(({ folder, file }) => {
    const probe = join(folder, `stream-guard-probe-${process.pid}`);
    try {
      mkdirSync(probe);
    } catch {
      return false;
    }
    try {
      accessSync(join(probe, file), constants.W_OK);
      return true;
    } catch {
      return false;
    } finally {
      rmdirSync(probe);
    }
  });
}
