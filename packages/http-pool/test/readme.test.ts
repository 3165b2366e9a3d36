import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { resolveGroupOptions } from "../src/group-options.ts";
import * as exported from "../src/index.ts";
import { resolvePoolOptions } from "../src/options.ts";

const read = (path: string): Promise<string> =>
  readFile(new URL(`../${path}`, import.meta.url), "utf8");
const readme = await read("README.md");

/** The rows of the table whose header begins so, cell by cell, without its first two lines. */
function table(firstHeader: string, section: string): string[][] {
  const from = readme.slice(readme.indexOf(`\n## ${section}\n`));
  const text = from.slice(0, from.indexOf("\n## ", 5));
  const lines = text.split("\n");
  const start = lines.findIndex((line) => new RegExp(`^\\| ${firstHeader} +\\|`).test(line));
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith("|"));
  return rows.slice(0, end).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Names in backquotes at the head of each row. */
function names(rows: readonly string[][]): string[] {
  return rows.flatMap(([first = ""]) =>
    [...first.matchAll(/`([^`(]+)[^`]*`/g)].map(([, name]) => name ?? ""),
  );
}

function members(source: string, declaration: string): string[] {
  const start = new RegExp(`interface ${declaration} (extends [\\w, ]+ )?\\{`);
  const from = source.slice(source.search(start));
  const body = from.slice(0, from.indexOf("\n}"));
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, name]) => name ?? "");
}

test("the options of the pool are those of the code, with their defaults", async () => {
  const rows = table("option", "ConnectionPool");
  expect(names(rows).toSorted()).toEqual(
    members(await read("src/options.ts"), "ConnectionPoolOptions").toSorted(),
  );
  const defaults: Record<string, unknown> = resolvePoolOptions({});
  const stated = rows.filter(([, , value = ""]) => /^[\d .]+$/.test(value));
  expect(stated.length).toBeGreaterThan(14);
  for (const [name = "", , value = ""] of stated)
    expect([name, Number(value.replaceAll(" ", ""))]).toEqual([name, defaults[name.slice(1, -1)]]);
});

test("the options of the agent and of mcpFetch are those of the code", async () => {
  expect(names(table("option", "PoolAgent")).toSorted()).toEqual(
    members(await read("src/pool-agent.ts"), "PoolAgentOptions").toSorted(),
  );
  expect(names(table("option", "MCP")).toSorted()).toEqual(
    members(await read("src/mcp.ts"), "McpFetchOptions").toSorted(),
  );
});

/** The options of a group, those of its parts by their path. */
async function groupOptions(): Promise<string[]> {
  const source = await read("src/group-options.ts");
  const parts = {
    probe: "ProbeOptions",
    outlier: "OutlierOptions",
    circuit: "CircuitBreakerOptions",
    retry: "RetryOptions",
    hedge: "HedgeOptions",
  };
  return [
    ...members(source, "UpstreamGroupOptions"),
    ...Object.entries(parts).flatMap(([part, declaration]) =>
      members(source, declaration).map((name) => `${part}.${name}`),
    ),
  ];
}

/** "25, 1000" says what two options are; spaces part thousands. */
function numbers(cell: string): number[] {
  return cell.split(", ").map((value) => Number(value.replaceAll(" ", "")));
}

test("the options of a group are those of the code, with their defaults", async () => {
  const rows = table("option", "UpstreamGroup");
  expect(names(rows).toSorted()).toEqual((await groupOptions()).toSorted());
  const defaults = resolveGroupOptions({ hedge: true }, () => undefined);
  const defaultOf = (path: string): unknown =>
    path
      .split(".")
      .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], defaults);
  const stated = rows.filter(([, , value = ""]) => /^[\d ., ]+$/.test(value));
  expect(stated.length).toBeGreaterThan(24);
  for (const row of stated) {
    const value = names([row]).map((name) => defaultOf(name));
    const flat = value.flatMap((one) => (one instanceof Set ? [...one] : [one]));
    expect([...names([row]), ...flat]).toEqual([...names([row]), ...numbers(row[2] ?? "")]);
  }
});

test("the events of a group are in the table, with all of their fields", async () => {
  const source = await read("src/group-events.ts");
  const from = readme.slice(readme.indexOf("An `UpstreamGroup` emits those of its pools"));
  const rows = [...from.matchAll(/^\| `(\w+)` +\| ([^|]+) \|/gm)].slice(0, 7);
  expect(rows.map(([, name = ""]) => name).toSorted()).toEqual(
    members(source, "GroupEvents").toSorted(),
  );
  for (const [, name = "", fields = ""] of rows) {
    const type = new RegExp(`^ {2}${name}: (\\w+);`, "m").exec(source)?.[1] ?? "";
    const expected = members(source, type).filter((field) => field !== "upstream");
    expect([name, ...names([[fields]])]).toEqual([name, ...expected]);
  }
});

test("the settings of a request are those of the code", async () => {
  const rows = table("in `init`", "ConnectionPool");
  const own = members(await read("src/fetch-request.ts"), "PoolFetchInit");
  expect(names(rows).toSorted()).toEqual(own.toSorted());
});

test("every public member is in a table or list", () => {
  const { ConnectionPool, PoolAgent, UpstreamGroup } = exported;
  for (const { name: kind, prototype } of [ConnectionPool, PoolAgent, UpstreamGroup]) {
    const from = readme.slice(readme.indexOf(`\n## ${kind}\n`));
    const section = from.slice(0, from.indexOf("\n## ", 5));
    const inherited = Object.getOwnPropertyNames(Object.getPrototypeOf(prototype));
    const own = Object.getOwnPropertyNames(prototype);
    const hidden = ["constructor", "accept", "end", "kill", "announce", "follow", "send"];
    const undici = ["on", "once", "off", "request"];
    const listed = [...own, ...inherited].filter((name) => ![...hidden, ...undici].includes(name));
    for (const name of listed)
      expect([kind, section]).toEqual([kind, expect.stringMatching(`\`${name}[\`(]`)]);
  }
});

test("every statistic of a pool, and of a group, is named", async () => {
  const pool = members(await read("src/pool-stats.ts"), "PoolStats");
  const stats = new exported.UpstreamGroup(["http://localhost"]).stats();
  const upstream = Object.keys(stats.upstreams["http://localhost"] ?? {});
  const all = [...pool, ...Object.keys(stats), ...upstream];
  const unnamed = all.filter((name) => !readme.includes(`\`${name}\``));
  expect(unnamed).toEqual([]);
});

test("every error that is exported is in the table with its code, and no other", async () => {
  const source = await read("src/errors.ts");
  const codes = new Set(source.match(/HTTP_POOL_[A-Z_]+/g));
  const rows = names(table("class, code", "Errors"));
  const classes = Object.entries(exported).filter(
    ([, value]) => typeof value === "function" && value.prototype instanceof exported.HttpPoolError,
  );
  const core = rows.filter((_name, index) => index % 2 === 0);
  expect(core.toSorted()).toEqual(classes.map(([name]) => name).toSorted());
  for (const code of rows.filter((_name, index) => index % 2 === 1)) expect(codes).toContain(code);
});

test("every event is in the table, with all of its fields", async () => {
  const source = await read("src/pool-events.ts");
  const rows = table("event", "Events");
  expect(names(rows).toSorted()).toEqual(members(source, "PoolEvents").toSorted());
  for (const [event = "", fields = ""] of rows) {
    const name = event.slice(1, -1);
    const type = new RegExp(`^ {2}${name}: (\\w+);`, "m").exec(source)?.[1] ?? "";
    const expected = members(source, type).filter((field) => field !== "upstream");
    expect([name, ...names([[fields]])]).toEqual([name, ...expected]);
  }
});

test("every metric is in the table, with its type and labels, and no other", () => {
  const families = new exported.ConnectionPool("http://localhost").metricFamilies();
  const rows = table("metric", "Metrics").map(([name = "", type, labels = ""]) => [
    name.slice(1, -1),
    type,
    ...[...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
  ]);
  const expected = families.map(({ name, type, labels }) => [name, type, ...labels.slice(1)]);
  expect(new Set(rows.map(String))).toEqual(new Set(expected.map(String)));
  expect(rows).toHaveLength(expected.length);
});

test("every close reason is named", async () => {
  const { closed } = new exported.ConnectionPool("http://localhost").stats();
  const [row = []] = table("event", "Events").filter(([event]) => event === "`close`");
  const named = [...(row[2] ?? "").matchAll(/`(\w+)`/g)].map(([, reason = ""]) => reason);
  expect(new Set(named)).toEqual(new Set(Object.keys(closed)));
});

test("the snippets are regions of examples that run", async () => {
  for (const example of ["quick-start", "guarded-fetch", "replicas", "new-session"]) {
    const source = await read(`examples/${example}.ts`);
    const [, region = ""] =
      new RegExp(`// #region ${example}\\n([\\s\\S]*?)\\n// #endregion ${example}`).exec(source) ??
      [];
    expect(region).not.toBe("");
    expect(readme).toContain(region);
  }
});
