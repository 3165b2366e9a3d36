import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../src/config/load.ts";
import { flagOf, longFlagOf, options, variableOf, type Option } from "../src/config/options.ts";
import { ConfigError } from "../src/errors.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

describe("configuration", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let file: string;
  beforeEach(() => {
    folder = temporaryFolder();
    file = join(folder.path, "accel.json");
  });
  afterEach(() => folder.remove());

  const write = (value: unknown): void =>
    writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value));

  test("a flag wins over the environment, which wins over the file, which wins over the default", () => {
    write({ http: { port: 3 } });
    const env = { MCP_ACCEL_HTTP_PORT: "2" };
    expect(loadConfig({ flags: { port: "1" }, env, file })["http.port"]).toBe(1);
    expect(loadConfig({ flags: { "http-port": "1" }, env, file })["http.port"]).toBe(1);
    expect(loadConfig({ flags: {}, env, file })["http.port"]).toBe(2);
    expect(loadConfig({ flags: {}, env: { MCP_ACCEL_HTTP_PORT: "" }, file })["http.port"]).toBe(3);
    expect(loadConfig({ flags: {}, env: {} })["http.port"]).toBe(7420);
  });

  test.each([
    [{ flags: { port: "http" } }, '--port: expected an integer from 0 to 65535, got "http".'],
    [{ flags: { port: "70000" } }, '--port: expected an integer from 0 to 65535, got "70000".'],
    [{ flags: { port: "-1" } }, '--port: expected an integer from 0 to 65535, got "-1".'],
    [
      { env: { MCP_ACCEL_FEATURES_CACHE: "yes" } },
      'MCP_ACCEL_FEATURES_CACHE: expected one of on, shadow, off, got "yes".',
    ],
    [
      { flags: { "log-level": "loud" } },
      '--log-level: expected one of fatal, error, warn, info, debug, silent, got "loud".',
    ],
    [
      { env: { MCP_ACCEL_HTTP_PROT: "7" } },
      "The environment variable MCP_ACCEL_HTTP_PROT names no option.",
    ],
    [
      { env: { MCP_ACCEL_FETCH_ALLOW_PRIVATE: "1" } },
      'MCP_ACCEL_FETCH_ALLOW_PRIVATE: expected true or false, got "1".',
    ],
  ])("a wrong value names its place, what was expected and what came: %j", (sources, message) => {
    const load = (): unknown => loadConfig({ flags: {}, env: {}, ...sources });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(message);
  });

  test.each([
    [{ http: { prot: 1 } }, "http.prot in FILE: no such option."],
    [{ http: 1 }, "http in FILE: expected an object, got 1."],
    [
      { http: { port: "80 " } },
      'http.port in FILE: expected an integer from 0 to 65535, got "80 ".',
    ],
    [[1], "FILE: expected a JSON object, got [1]."],
    ["{", "The configuration file FILE is not valid JSON: "],
  ])("a wrong file names its place: %j", (content, message) => {
    write(content);
    expect(() => loadConfig({ flags: {}, env: {}, file })).toThrow(message.replace("FILE", file));
  });

  test("a file that cannot be read is named", () => {
    expect(() => loadConfig({ flags: {}, env: {}, file: join(folder.path, "none.json") })).toThrow(
      /^Cannot read the configuration file .*none\.json/,
    );
  });

  test("an editor's $schema entry is no option", () => {
    write({ $schema: "./schema.json", store: ":memory:" });
    expect(loadConfig({ flags: {}, env: {}, file }).store).toBe(":memory:");
  });

  test("the state lives in the user's state folder when no store is named", () => {
    const { store } = loadConfig({ flags: {}, env: { XDG_STATE_HOME: "/state" } });
    expect(store).toBe(join("/state", "mcp-accel", "swarm.db"));
  });

  test("every flag and variable belongs to one option", () => {
    const all: readonly Option[] = options;
    const flags = all.flatMap((option) => [...new Set([flagOf(option), longFlagOf(option.path)])]);
    const variables = all.map(({ path }) => variableOf(path));
    expect(new Set(flags).size).toBe(flags.length);
    expect(new Set(variables).size).toBe(variables.length);
    expect(variableOf("http.maxBodyBytes")).toBe("MCP_ACCEL_HTTP_MAX_BODY_BYTES");
  });
});
