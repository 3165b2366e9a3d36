import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
  above,
  below,
  dashboardGroups,
  defaultRules,
  defineRule,
  familyReferences,
  gauge,
  grafanaDashboard,
  promtoolTests,
  ruleFiles,
  value,
} from "../src/alerts.ts";
import { toYaml } from "../src/alert-yaml.ts";

const command = fileURLToPath(new URL("../src/alert-command.ts", import.meta.url));

describe("alerts: YAML", () => {
  test("nested lists and maps, and every text in quotes or a block", () => {
    const written = toYaml({
      a: [{ b: "yes", c: [1, true, []] }, {}],
      "odd key": "two\nlines",
      left: undefined,
      text: " a\nb",
      date: "2026-01-01",
      control: "\u0000\u0085\u2028\ud800",
    });
    expect(written).toBe(
      [
        "a:",
        '  - b: "yes"',
        "    c:",
        "      - 1",
        "      - true",
        "      - []",
        "  - {}",
        '"odd key": |-',
        "  two",
        "  lines",
        String.raw`text: " a\nb"`,
        'date: "2026-01-01"',
        String.raw`control: "\u0000\u0085\u2028` + '\ufffd"',
        "",
      ].join("\n"),
    );
  });
});

describe("alerts: the dashboard", () => {
  interface Panel {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: {
      readonly x: number;
      readonly y: number;
      readonly w: number;
      readonly h: number;
    };
    readonly targets?: readonly { readonly expr: string }[];
    readonly fieldConfig?: { readonly defaults: { readonly thresholds?: unknown } };
  }
  const dashboard = grafanaDashboard({ rules: defaultRules() });
  const panels = dashboard["panels"] as unknown as readonly Panel[];

  test("it names no data source but its variable, and is plain JSON", () => {
    expect(JSON.parse(JSON.stringify(dashboard))).toEqual(dashboard);
    const text = JSON.stringify(dashboard);
    const uids = [...text.matchAll(/"uid":("[^"]*"|null)/g)].map(([, uid]) => uid);
    expect(new Set(uids)).toEqual(new Set(['"${datasource}"', "null"]));
    expect(dashboard).toMatchObject({ schemaVersion: 38, title: "mcp-accel" });
    expect(text).toContain('"type":"datasource"');
  });

  test("panels have ids of their own and do not overlap", () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const one of panels) {
      expect(one.gridPos.x + one.gridPos.w).toBeLessThanOrEqual(24);
      const others = panels.filter((other) => other !== one);
      expect(others.filter((other) => overlap(one, other))).toEqual([]);
    }
  });

  test("every group has a row, every query reads the chosen processes, and thresholds are drawn", () => {
    const rows = panels.filter(({ type }) => type === "row").map(({ title }) => title);
    expect(rows).toEqual(["Tools", "Cache", "Connection pool", "Batches", "Streams", "Process"]);
    for (const { targets = [] } of panels) {
      for (const { expr } of targets) expect(expr).toContain('job=~"$job",instance=~"$instance"');
    }
    const hitRatio = panels.find(({ title }) => title === "Hit ratio");
    expect(hitRatio?.fieldConfig?.defaults.thresholds).toEqual({
      mode: "absolute",
      steps: [
        { color: "green", value: null },
        { color: "red", value: 0.8 },
      ],
    });
    expect(panels[0]?.targets?.[0]?.expr).toContain('ALERTS{alertname=~"CacheHitRatioLow|');
  });

  function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
    return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  }
});

describe("alerts: generated tests", () => {
  test("a rule for which no series can be constructed is named", () => {
    const depth = value(gauge("depth"));
    const never = defineRule({
      name: "Never",
      severity: "info",
      summary: "x",
      description: "x",
      when: { kind: "all", conditions: [above(depth, 10), below(depth, 5)] },
    });
    expect(() => promtoolTests([never])).toThrow(
      expect.objectContaining({ code: "METRICS_UNTESTABLE_RULE", rule: "Never" }),
    );
  });

  test("what rules and panels take for granted can be listed", () => {
    const references = familyReferences(defaultRules(), dashboardGroups);
    expect(references).toContainEqual({
      family: "mcp_server_tool_calls_total",
      type: "counter",
      labels: ["tier"],
      from: "FastTierSlow",
    });
    expect(references).toContainEqual({
      family: "nodejs_gc_duration_seconds",
      type: "histogram",
      labels: ["kind"],
      from: "Garbage collection",
    });
  });
});

describe("alerts: the command", () => {
  const run = promisify(execFile);

  test("it writes all files into the folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "rules-"));
    try {
      const { stdout } = await run(process.execPath, [command, "--out", "made/here"], {
        env: { ...process.env, INIT_CWD: folder },
      });
      const files = ruleFiles();
      const made = join(folder, "made", "here");
      expect(readdirSync(made).toSorted()).toEqual(Object.keys(files).toSorted());
      expect(stdout).toContain(join(made, "rules.yaml"));
      for (const [name, text] of Object.entries(files)) {
        expect(readFileSync(join(made, name), "utf8")).toBe(text);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("without a folder it says how it is used", async () => {
    await expect(run(process.execPath, [command])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--out <folder>"),
    });
  });
});
