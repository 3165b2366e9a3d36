import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chartSvg } from "../bench/soak/chart.ts";
import { reportHtml } from "../bench/soak/html.ts";
import { judge } from "../bench/soak/judge.ts";
import { durationMs } from "../bench/soak/numbers.ts";
import { Plant } from "../bench/soak/plant.ts";
import type { Measured, Sample } from "../bench/soak/record.ts";
import { SampleLog } from "../bench/soak/sample-log.ts";

const root = join(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly scripts: { readonly soak: string };
};
/** The script of the package, without `node`. */
const SCRIPT = manifest.scripts.soak.split(" ").slice(1);
const SMALL = ["--sessions", "640", "--operations", "25600", "--warm-up", "800", "--bound", "160"];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stream-guard-soak-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a soak of a few sessions", { timeout: 240_000 }, () => {
  test("passes, and writes what it measured", () => {
    const [json, html] = [join(folder, "clean.json"), join(folder, "clean.html")];
    const { status, stdout } = soak(...SMALL, "--json", json, "--html", html);
    expect(stdout).toMatch(/^passed: no leak/);
    expect(status).toBe(0);
    const { samples, facts } = JSON.parse(readFileSync(json, "utf8")) as Measured;
    expect(samples).toHaveLength(40);
    expect(facts).toMatchObject({ sessions: 640, operations: 25_600, refused: 90 });
    const page = readFileSync(html, "utf8");
    expect(page.match(/<svg /g)).toHaveLength(4);
    expect(page).not.toMatch(/<script|https?:|NaN|undefined/);
  });

  test("finds a planted leak, and passes for that", () => {
    const found = soak(...SMALL, "--plant", "640");
    expect(found.stdout).toMatch(/^passed: the planted leak is found/);
    expect(found.status).toBe(0);
  });

  test("finds one that comes in steps", () => {
    const found = soak(...SMALL, "--plant", "640", "--plant-every", "80");
    expect(found.stdout).toMatch(/^passed: the planted leak is found/);
  });

  test("ends early when interrupted, and reports", async () => {
    const json = join(folder, "early.json");
    const args = [...SCRIPT, "--json", json];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
    const exit = once(child, "exit");
    await once(child.stderr, "data");
    child.kill("SIGINT");
    expect(await exit).toEqual([1, null]);
    expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({
      interrupted: true,
      verdict: { passed: false },
    });
  });
});

describe("the verdict", () => {
  test.each<[string, number, number, boolean, RegExp]>([
    ["a flat floor", 0, 0, true, /^no leak/],
    ["a floor that rises by 32 B a session", 32, 0, false, /^a leak/],
    ["a planted leak that is seen", 32, 32, true, /^the planted leak is found/],
    ["a planted leak that is not seen", 0, 32, false, /not found/],
    ["a slope at the bound itself", 8, 0, false, /^undecided/],
    ["a floor that falls", -32, 0, false, /^undecided/],
  ])("of %s", (_, slope, plantBytes, passed, text) => {
    const verdict = judge(measured(slope, { plantBytes }), 8);
    expect(verdict.passed).toBe(passed);
    expect(verdict.text).toMatch(text);
  });

  test("is no when a session or a byte is left over, or anything went wrong", () => {
    const samples = measured(0).samples.with(7, { ...sampleOf(7, 0), ledgerBytes: 1 });
    expect(judge(measured(0, { samples }), 8).text).toMatch(/the ledger held 1 bytes/);
    const problems = ["sessions evicted: expected 5, found 4"];
    expect(judge(measured(0, { problems }), 8)).toMatchObject({ passed: false, text: problems[0] });
  });

  test.each<[string, readonly number[], boolean, RegExp]>([
    ["one step", [64], true, /^no leak: .* apart from 1 step of 64 KiB$/],
    ["two steps", [64, 128], true, /^no leak: .* apart from 2 steps of 64, 128 KiB$/],
    ["a step down", [-64], true, /^no leak/],
    ["two steps that are together nearly as large as may be", [127, 128], true, /^no leak/],
    ["two steps that are together larger", [129, 128], false, /^(undecided|a leak)/],
    ["three steps", [64, 64, 64], false, /^(undecided|a leak)/],
    ["many steps", Array.from({ length: 6 }, () => 64), false, /^a leak: .* 6 steps/],
  ])("of a flat floor with %s", (_, steps, passed, text) => {
    const verdict = judge(stepped(0, steps), 8);
    expect(verdict.text).toMatch(text);
    expect(verdict.passed).toBe(passed);
  });

  test("of a leak beneath a step up or down is that it leaks", () => {
    for (const kib of [64, -64]) {
      expect(judge(stepped(32, [kib]), 8).text).toMatch(/^a leak: 3\d\.\d\d to 3\d\.\d\d/);
      expect(judge(stepped(32, [kib], 32), 8).passed).toBe(true);
    }
  });

  test("is undecided with too few samples", () => {
    const samples = measured(0).samples.slice(0, 5);
    expect(judge(measured(0, { samples }), 8)).toMatchObject({ passed: false, trend: undefined });
  });
});

test("samples come back as they were taken, and no more than there is room for", () => {
  const log = new SampleLog(2);
  log.add(sampleOf(0, 5));
  log.add(sampleOf(1, 5));
  expect(log.samples()).toEqual([sampleOf(0, 5), sampleOf(1, 5)]);
  expect(log.full).toBe(true);
  expect(() => log.add(sampleOf(2, 5))).toThrow(RangeError);
});

test("a report draws a line for each level", () => {
  const run = stepped(0, [64]);
  const page = reportHtml(run, judge(run, 8));
  const [, fit] = /<polyline class="fit" points="([^"]*)"/.exec(page) ?? [];
  expect(fit?.split(" ")).toHaveLength(4);
  expect(page).toContain("<tr><th>steps of the heap floor</th><td>1</td></tr>");
});

test("a plant is a number of 32 byte objects", () => {
  expect(() => new Plant(32, 0)).toThrow(RangeError);
  expect(() => new Plant(40)).toThrow(RangeError);
  expect(() => new Plant(64)).not.toThrow();
});

test("durations have a unit", () => {
  expect(["90s", "1m", "8h"].map(durationMs)).toEqual([90_000, 60_000, 28_800_000]);
  expect(() => durationMs("8")).toThrow(RangeError);
});

test("a chart of one value, or of none that changes, is still a chart", () => {
  const points = [
    [0, 5],
    [1, 5],
  ] as const;
  const svg = chartSvg({
    title: "a < b",
    xLabel: "x",
    series: [{ name: "n", style: "first", points }],
  });
  expect(svg).toContain("a &lt; b");
  expect(svg).not.toContain("NaN");
});

function soak(...args: readonly string[]) {
  return spawnSync(process.execPath, [...SCRIPT, ...args], {
    cwd: root,
    encoding: "utf8",
    timeout: 120_000,
  });
}

function measured(slope: number, other: Partial<Measured> = {}): Measured {
  return {
    title: "made up",
    facts: {},
    samples: Array.from({ length: 100 }, (_, index) => sampleOf(index, slope)),
    plantBytes: 0,
    interrupted: false,
    problems: [],
    ...other,
  };
}

/** Steps (in KiB) spread evenly over the run. */
function stepped(slope: number, kib: readonly number[], plantBytes = 0): Measured {
  const { samples } = measured(slope);
  const every = samples.length / (kib.length + 1);
  const raised = samples.map((sample, index) => {
    const up = kib.filter((_, step) => index >= Math.round((step + 1) * every));
    return { ...sample, floorBytes: sample.floorBytes + up.reduce((sum, k) => sum + k * 1024, 0) };
  });
  return measured(slope, { samples: raised, plantBytes });
}

function sampleOf(index: number, slope: number): Sample {
  const sessions = 16 * index;
  return {
    atMs: index,
    sessions,
    operations: sessions * 600,
    floorBytes: 5_000_000 + slope * sessions + (index % 2),
    codeBytes: 1,
    rssBytes: 1,
    ledgerBytes: 0,
    openSessions: 0,
    busyLedgerBytes: 1,
    busySessions: 1,
  };
}
