import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { followConfig } from "../src/config/follow-config.ts";
import { LiveConfig } from "../src/config/live-config.ts";
import { loadConfig } from "../src/config/load.ts";
import type { Config } from "../src/config/options.ts";
import { FileWatch, type After } from "../src/config/watch-file.ts";
import { linesLogger } from "./support/lines-logger.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, "accel.json");
});
afterEach(() => folder.remove());

const write = (value: unknown): void =>
  writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value));
const load = (flags: Record<string, string> = {}): Config => loadConfig({ flags, env: {}, file });

/** Timers that run when the test says so. */
class Timers {
  readonly #pending = new Set<() => void>();
  started = 0;

  readonly after: After = (_delayMs, then) => {
    this.started += 1;
    this.#pending.add(then);
    this.#armed.resolve();
    return () => void this.#pending.delete(then);
  };
  #armed = Promise.withResolvers<void>();

  get pending(): number {
    return this.#pending.size;
  }

  /** Resolves when a timer has been started. */
  async armed(): Promise<void> {
    if (this.#pending.size === 0) await this.#armed.promise;
  }

  run(): void {
    this.#armed = Promise.withResolvers();
    for (const then of Array.from(this.#pending)) {
      this.#pending.delete(then);
      then();
    }
  }
}

function setUpConfig(flags: Record<string, string> = {}) {
  const { logger, lines } = linesLogger();
  const applied: [Config, readonly string[]][] = [];
  let refusal: Error | undefined;
  const live = new LiveConfig(load(flags), {
    load: () => load(flags),
    apply: (config, changed) => {
      if (refusal !== undefined) throw refusal;
      applied.push([config, changed]);
    },
    log: logger,
  });
  return { live, lines, applied, refuse: (error: Error | undefined) => (refusal = error) };
}

describe("a configuration that is read anew", () => {
  test("is applied where it can change live, each switch logged, and the rest is named", () => {
    write({});
    const { live, lines, applied } = setUpConfig();
    write({ features: { cache: "shadow" }, batch: { maxSize: 7 }, http: { maxSessions: 3 } });
    live.reload("SIGHUP");
    expect(applied).toHaveLength(1);
    const [config, changed] = applied[0]!;
    expect(changed).toEqual(["batch.maxSize", "features.cache"]);
    expect(config).toMatchObject({ "batch.maxSize": 7, "http.maxSessions": 1_000 });
    expect(live.running).toBe(config);
    expect(lines).toEqual([
      {
        level: 30,
        option: "batch.maxSize",
        from: 500,
        to: 7,
        reason: "SIGHUP",
        msg: "switched",
      },
      {
        level: 30,
        option: "features.cache",
        from: "on",
        to: "shadow",
        reason: "SIGHUP",
        msg: "switched",
      },
      {
        level: 40,
        options: ["http.maxSessions"],
        reason: "SIGHUP",
        msg: "needs a restart: these options stay as they are",
      },
    ]);
    live.reload("SIGHUP");
    expect(applied).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ options: ["http.maxSessions"] });
  });

  test.each([
    ["{", /is not valid JSON/],
    [{ features: { cache: "off", pool: "of" } }, /features\.pool in .*: expected one of on, off/],
    [{ features: { cache: "off" }, http: { prot: 1 } }, /http\.prot in .*: no such option/],
  ])("is not used at all when something is wrong with it: %j", (content, message) => {
    write({});
    const { live, lines, applied } = setUpConfig();
    const before = live.running;
    write(content);
    live.reload("SIGHUP");
    expect(applied).toEqual([]);
    expect(live.running).toBe(before);
    expect(lines).toEqual([
      {
        level: 50,
        reason: "SIGHUP",
        error: expect.stringMatching(message) as string,
        msg: "the new configuration is not used; the old one stays",
      },
    ]);
  });

  test("is not used when its live part does not go with what needs a restart", () => {
    write({});
    const { live, lines, applied } = setUpConfig();
    write({
      guard: { maxMemoryBytes: 2 * 2 ** 20, streamMaxMemoryBytes: 2 ** 20 },
      features: { cache: "off" },
    });
    live.reload("SIGHUP");
    expect(applied).toEqual([]);
    expect(live.running["features.cache"]).toBe("on");
    expect(lines[0]).toMatchObject({
      level: 50,
      error: expect.stringContaining("guard.streamMaxMemoryBytes: expected at most") as string,
    });
  });

  test("is not taken as running when it could not be applied, and is tried again next time", () => {
    write({});
    const { live, lines, applied, refuse } = setUpConfig();
    write({ features: { cache: "off" } });
    refuse(new Error("no memory"));
    live.reload("SIGHUP");
    expect(live.running["features.cache"]).toBe("on");
    expect(lines).toMatchObject([{ level: 50, error: "no memory" }]);
    refuse(undefined);
    live.reload("SIGHUP");
    expect(applied.map(([, changed]) => changed)).toEqual([["features.cache"]]);
  });

  test("does not win over a flag", () => {
    write({});
    const { live, lines, applied } = setUpConfig({ "features-cache": "on" });
    write({ features: { cache: "off" } });
    live.reload("SIGHUP");
    expect(applied).toEqual([]);
    expect(lines).toMatchObject([{ level: 30, msg: "the configuration has not changed" }]);
  });
});

function setUpWatch() {
  const timers = new Timers();
  const seen: string[] = [];
  const errors: Error[] = [];
  const watch = new FileWatch(file, {
    onChange: () => seen.push("change"),
    onError: (error) => errors.push(error),
    after: timers.after,
  });
  return { timers, seen, errors, watch };
}

describe("the watch of a file", () => {
  test("hears of a write, of a new file in its place, and of a link that leads elsewhere", async () => {
    write("1");
    const { timers, seen, watch } = setUpWatch();
    const change = async (how: () => void): Promise<void> => {
      how();
      await timers.armed();
      // Every event of this change is there before the look, so that none of them stands in for the next one's.
      for (let n = 0; n < 20; n += 1) await setImmediate();
      timers.run();
    };
    await change(() => write("2"));
    expect(seen).toHaveLength(1);
    for (const content of ["3", "4"]) {
      await change(() => {
        writeFileSync(`${file}.new`, content);
        renameSync(`${file}.new`, file);
      });
    }
    expect(seen).toHaveLength(3);
    await change(() => {
      const target = join(folder.path, "release-2.json");
      writeFileSync(target, "5");
      rmSync(file);
      symlinkSync(target, file);
    });
    expect(seen).toHaveLength(4);
    watch[Symbol.dispose]();
  });

  test("looks once for many events, is not put off by them, and not fooled by other files", () => {
    write("1");
    const { timers, seen, watch } = setUpWatch();
    for (let n = 0; n < 10; n += 1) watch.touch();
    expect(timers.started).toBe(1);
    write("2");
    timers.run();
    expect(seen).toHaveLength(1);
    watch.touch();
    timers.run();
    expect(seen).toHaveLength(1);
    rmSync(file);
    watch.touch();
    timers.run();
    expect(seen).toHaveLength(2);
    watch[Symbol.dispose]();
  });

  test("looks no more when it has ended", () => {
    write("1");
    const { timers, seen, watch } = setUpWatch();
    watch.touch();
    write("2");
    watch[Symbol.dispose]();
    timers.run();
    watch.touch();
    expect(timers.pending).toBe(0);
    expect(seen).toEqual([]);
  });

  test("says when the folder cannot be watched", () => {
    file = join(folder.path, "none", "accel.json");
    const { errors, watch } = setUpWatch();
    expect(errors).toHaveLength(1);
    watch[Symbol.dispose]();
  });
});

function follow(config: Config) {
  const timers = new Timers();
  const { logger, lines } = linesLogger();
  const applied: (readonly string[])[] = [];
  const following = followConfig(config, {
    file,
    load,
    apply: (_config, changed) => void applied.push(changed),
    logger,
    after: timers.after,
  });
  return { timers, logger, lines, applied, following };
}

describe("a server that follows its file", () => {
  test("applies it at SIGHUP and when it has changed, and no more when it has ended", async () => {
    write({});
    const listeners = process.listenerCount("SIGHUP");
    const { timers, logger, applied, following } = follow(load());
    expect(process.listenerCount("SIGHUP")).toBe(listeners + 1);
    write({ log: { level: "error" } });
    process.emit("SIGHUP");
    expect(logger.level).toBe("error");
    await timers.armed();
    timers.run();
    expect(applied).toEqual([["log.level"]]);
    write({ log: { level: "error" }, features: { pool: "off" } });
    await timers.armed();
    timers.run();
    expect(applied).toEqual([["log.level"], ["features.pool"]]);
    following[Symbol.dispose]();
    expect(process.listenerCount("SIGHUP")).toBe(listeners);
  });

  test("applies what changed while the server was starting, and says nothing otherwise", () => {
    write({});
    const config = load();
    const quiet = follow(config);
    expect(quiet.lines).toEqual([]);
    quiet.following[Symbol.dispose]();
    write({ features: { guard: "off" } });
    const { applied, following } = follow(config);
    expect(applied).toEqual([["features.guard"]]);
    following[Symbol.dispose]();
  });
});
