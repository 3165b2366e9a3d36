import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { run } from "../src/cli.ts";
import { shown } from "../src/config/commands.ts";
import { appliesLive } from "../src/config/live.ts";
import { loadConfig } from "../src/config/load.ts";
import { choicesOf, options, type Option } from "../src/config/options.ts";
import { configSchema } from "../src/config/schema.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly description?: string;
  readonly [key: string]: unknown;
}

const table: readonly Option[] = options;
const schema = configSchema() as SchemaNode;
const nodeOf = (path: string): SchemaNode | undefined =>
  path.split(".").reduce<SchemaNode | undefined>((node, key) => node?.properties?.[key], schema);

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
let stdout: string[];
let stderr: string[];
beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, "accel.json");
  stdout = [];
  stderr = [];
  vi.spyOn(console, "log").mockImplementation((text: string) => void stdout.push(text));
  vi.spyOn(console, "error").mockImplementation((text: string) => void stderr.push(text));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  folder.remove();
});

const nested = (path: string, value: unknown): unknown =>
  path.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
const write = (value: unknown): void => writeFileSync(file, JSON.stringify(value));

describe("config check", () => {
  test("accepts what serve would start with, and says so in one line", async () => {
    write({ $schema: "./config.schema.json", http: { port: 0 } });
    expect(await run(["config", "check", "--config", file, "--features-cache", "shadow"])).toBe(0);
    expect(stdout).toEqual(["The configuration is right."]);
    expect(stderr).toEqual([]);
  });

  test.each([
    [{ http: { port: "x" } }, 'http.port in FILE: expected an integer from 0 to 65535, got "x".'],
    [{ features: { pool: "shadow" } }, 'features.pool in FILE: expected one of on, off, got "sha'],
    [{ features: { cache: "of" } }, "features.cache in FILE: expected one of on, shadow, off, got"],
    [{ cache: { ttl: 1 } }, "cache.ttl in FILE: no such option."],
    [{ http: { host: "0.0.0.0" } }, "http.host (--host): expected one of 127.0.0.1"],
    [
      { guard: { maxMemoryBytes: 1_048_576 } },
      "guard.streamMaxMemoryBytes: expected at most guard.maxMemoryBytes (1048576), got 8388608.",
    ],
  ])("refuses %j with the place, what was expected and what came", async (content, message) => {
    write(content);
    expect(await run(["config", "check", "--config", file])).toBe(2);
    expect(stdout).toEqual([]);
    expect(stderr.join("\n")).toContain(message.replace("FILE", file));
  });

  test("asks of the host what the transport asks of it", async () => {
    write({ http: { host: "0.0.0.0" } });
    expect(await run(["config", "check", "--stdio", "--config", file])).toBe(0);
  });

  test("names an unknown command and an unknown flag", async () => {
    expect(await run(["config", "toString"])).toBe(2);
    expect(await run(["config", "check", "--prot", "1"])).toBe(2);
    expect(stderr).toEqual([
      'mcp-accel: Unknown command "config toString". The commands are: check, print, schema.',
      "mcp-accel: Unknown option '--prot'. 'mcp-accel serve --help' lists the flags.",
    ]);
    expect(await run(["config"])).toBe(0);
    expect(stdout.join("\n")).toContain("Usage: mcp-accel config");
  });
});

describe("config print", () => {
  test("shows every option, its value and where it came from", async () => {
    write({ cache: { ttlMs: 5 }, batch: { maxSize: 7 }, http: { port: 1 } });
    vi.stubEnv("MCP_ACCEL_BATCH_MAX_SIZE", "8");
    vi.stubEnv("MCP_ACCEL_HTTP_PORT", "2");
    expect(await run(["config", "print", "--config", file, "--port", "3"])).toBe(0);
    const lines = stdout.join("\n").split("\n");
    expect(lines.map((line) => line.split(" = ")[0])).toEqual(table.map(({ path }) => path));
    const line = (path: string): string | undefined =>
      lines.find((found) => found.startsWith(`${path} = `))?.replaceAll(/ +/g, " ");
    expect(line("http.port")).toBe("http.port = 3 # --port");
    expect(line("batch.maxSize")).toBe("batch.maxSize = 8 # MCP_ACCEL_BATCH_MAX_SIZE");
    expect(line("cache.ttlMs")).toBe(`cache.ttlMs = 5 # ${file}`);
    expect(line("cache.maxEntries")).toBe("cache.maxEntries = 10000 # default");
    expect(line("store")).toMatch(/swarm\.db" # default$/);
  });

  test("shows no secret and no credentials of a URL", async () => {
    expect(shown({ secret: true }, "hunter2")).toBe('"***"');
    expect(shown({}, "hunter2")).toBe('"hunter2"');
    for (const store of ["postgres://me:pass@db/swarm", "postgres://me:p@ss@db/swarm"]) {
      stdout = [];
      await run(["config", "print", "--store", store]);
      expect(stdout.join("\n")).toContain('store = "postgres://***@db/swarm"');
      expect(stdout.join("\n")).not.toContain("ss@");
    }
  });
});

describe("config schema", () => {
  test("prints what is published with the package", async () => {
    expect(await run(["config", "schema"])).toBe(0);
    const published = readFileSync(new URL("../config.schema.json", import.meta.url), "utf8");
    expect(JSON.parse(published)).toEqual(JSON.parse(stdout.join("\n")));
    const { files, exports } = JSON.parse(
      readFileSync(new URL("../package.json", import.meta.url), "utf8"),
    ) as { files: string[]; exports: Record<string, string> };
    expect(files).toContain("config.schema.json");
    expect(exports["./config.schema.json"]).toBe("./config.schema.json");
  });

  test("is of draft 2020-12 and refuses entries that name no option", () => {
    expect(schema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(schema["additionalProperties"]).toBe(false);
    expect(nodeOf("http")?.["additionalProperties"]).toBe(false);
    expect(nodeOf("$schema")).toMatchObject({ type: "string" });
  });

  test.each(table)("describes $path with its bounds and its default", (option) => {
    const node = nodeOf(option.path);
    expect(node?.description).toContain(option.help);
    expect(node?.description).toContain(
      appliesLive(option.path) ? "Changes while the server runs." : "A change needs a restart.",
    );
    expect(node?.["default"]).toBe(option.default === "" ? undefined : option.default);
    expect(node?.["minimum"]).toBe(option.min);
    expect(node?.["maximum"]).toBe(option.max);
    expect(node?.["enum"]).toEqual(choicesOf(option));
  });

  test("accepts exactly the values that the server accepts from a file", () => {
    const validator = z.fromJSONSchema(configSchema());
    const values = fc.oneof(
      fc.integer({ min: -10, max: 100_000 }),
      fc.maxSafeInteger(),
      fc.double(),
      fc.boolean(),
      fc.constantFrom("on", "off", "shadow", "debug", "loud", "", "a", null, [], {}),
    );
    const cases = fc
      .constantFrom(...table)
      .chain((option) =>
        fc.tuple(
          fc.constant(option.path),
          fc.oneof(values, fc.constantFrom(option.min, option.max, (option.max ?? 1) + 1)),
        ),
      );
    fc.assert(
      fc.property(cases, ([path, value]) => {
        fc.pre(value !== undefined && typeof value !== "bigint");
        // How the options go together is beyond a schema.
        fc.pre(!path.startsWith("guard.") && !path.endsWith(".port"));
        write(nested(path, value));
        const parsed = JSON.parse(readFileSync(file, "utf8")) as unknown;
        const accepted = ((): boolean => {
          try {
            loadConfig({ flags: {}, env: {}, file });
            return true;
          } catch {
            return false;
          }
        })();
        expect(validator.safeParse(parsed).success).toBe(accepted);
      }),
      { numRuns: 400 },
    );
  });
});
