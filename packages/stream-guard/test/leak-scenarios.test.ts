import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { LeakKind } from "@mcp-accel/stream-guard";
import { innocent } from "./leaks/innocent.ts";
import { planted } from "./leaks/planted.ts";
import type { Outcome } from "./leaks/scenario.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
/** A limit for what hangs: the machine may be busy. */
const TIMEOUT_MS = 120_000;

interface Plant {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A process of its own, so that the heap is the scenario's. */
async function outcomeOf(scenario: string, plant?: Plant): Promise<Outcome> {
  const script = join(root, "test/leaks/process.ts");
  const flags = ["--conditions=@mcp-accel/source", "--expose-gc", script, scenario];
  const args = plant === undefined ? flags : [...flags, JSON.stringify(plant)];
  const { stdout } = await run(process.execPath, args, { cwd: root, timeout: TIMEOUT_MS });
  return JSON.parse(stdout) as Outcome;
}

interface Expected {
  readonly kind: LeakKind;
  readonly place: RegExp;
  readonly evidence: Readonly<Record<string, unknown>>;
}

const at = (name: string): RegExp =>
  new RegExp(`^${name} \\(.*/test/leaks/planted\\.ts:\\d+:\\d+\\)$`);
const several: unknown = expect.toSatisfy((count: number) => count >= 3);
const around5MbPerHour: unknown = expect.toSatisfy(
  (bytes: number) => bytes > 4.5e6 && bytes < 6.5e6,
);

const expected: Readonly<Record<string, Expected>> = {
  "closed session kept in an array": {
    kind: "zombie",
    place: at("openKept"),
    evidence: { what: "session", reachable: several, majorCollections: 3 },
  },
  "session never closed": {
    kind: "openSession",
    place: at("openForgotten"),
    evidence: { sessions: several, bytes: 0 },
  },
  "listener kept on a long-lived emitter": {
    kind: "zombie",
    place: at("openListening"),
    evidence: { what: "session", reachable: several },
  },
  "timer closure": {
    kind: "zombie",
    place: at("openTimed"),
    evidence: { what: "upstream", reachable: several },
  },
  "Map cache without bound": {
    kind: "heap",
    place: /^V8 heap \(objects\)$/,
    evidence: { bytesPerHour: around5MbPerHour },
  },
  "promise chain never settled holding buffers": {
    kind: "heap",
    place: /^external memory \(buffers\)$/,
    evidence: { bytesPerHour: around5MbPerHour },
  },
  "bytes reserved never released": {
    kind: "heldBytes",
    place: at("openHolding"),
    evidence: { sessions: several },
  },
  "handle dropped without close": {
    kind: "droppedHandle",
    place: at("openDropped"),
    evidence: { what: "file", handles: several },
  },
  "stream destroyed but referenced by a closure": {
    kind: "zombie",
    place: at("openStream"),
    evidence: { what: "stream", reachable: several },
  },
  "slow heap ramp in a global": {
    kind: "heap",
    place: /^V8 heap \(objects\)$/,
    evidence: { bytesPerHour: around5MbPerHour },
  },
};

test("there are ten planted leaks and ten innocent look-alikes", () => {
  expect(Object.keys(planted)).toEqual(Object.keys(expected));
  expect(Object.keys(planted)).toHaveLength(10);
  expect(Object.keys(innocent)).toHaveLength(10);
});

describe("planted leaks", () => {
  test.each(Object.entries(expected))(
    "%s is named, once, and nothing else is",
    async (scenario, { kind, place, evidence }) => {
      const { findings, told } = await outcomeOf(scenario);
      expect(findings).toEqual([expect.objectContaining({ kind, active: true, times: 1 })]);
      expect(findings[0]?.place).toMatch(place);
      expect(findings[0]?.evidence).toMatchObject(evidence);
      expect(told).toHaveLength(1);
    },
    TIMEOUT_MS,
  );
});

describe("innocent look-alikes", () => {
  test.each(Object.keys(innocent))(
    "%s is not blamed",
    async (scenario) => {
      expect((await outcomeOf(scenario)).told).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe("bugs planted in the detector are seen", () => {
  const missed: readonly (readonly [string, string, Plant])[] = [
    [
      "closing is not heard",
      "closed session kept in an array",
      { file: "leak-detector.ts", from: 'guard?.on("close", this.#onClose);', to: "" },
    ],
    [
      "the close of a stream is not heard",
      "stream destroyed but referenced by a closure",
      {
        file: "leak-handles.ts",
        from: 'object.once("close", close)',
        to: "object.once('end', close)",
      },
    ],
    [
      "an operation under way counts as movement",
      "bytes reserved never released",
      { file: "leak-ledger.ts", from: "session.stillForMs(now)", to: "session.idleForMs(now)" },
    ],
    [
      "dropped handles are not counted",
      "handle dropped without close",
      { file: "leak-handles.ts", from: "this.droppedCount += 1;", to: "return;" },
    ],
    [
      "external memory is not counted",
      "promise chain never settled holding buffers",
      {
        file: "heap-watch.ts",
        from: "this.#usedBytes = heapUsedBytes + externalBytes;",
        to: "this.#usedBytes = heapUsedBytes;",
      },
    ],
    [
      "the streak never grows",
      "slow heap ramp in a global",
      { file: "heap-floor.ts", from: "this.#streak + 1", to: "0" },
    ],
  ];

  test.each(missed)(
    "%s: %s goes unnamed",
    async (_, scenario, plant) => {
      const { told } = await outcomeOf(scenario, plant);
      expect(told.map(({ kind }) => kind)).not.toContain(expected[scenario]?.kind);
    },
    TIMEOUT_MS,
  );

  const blamed: readonly (readonly [string, string, Plant])[] = [
    [
      "the detector keeps what is closed",
      "WeakMap memo",
      { file: "leak-zombies.ts", from: "new WeakRef(object)", to: "{ deref: () => object }" },
    ],
    [
      "progress is not seen",
      "long-lived session with progress",
      {
        file: "streaming-session.ts",
        from: "if (this.#account.moved) this.#lastMoved = now;",
        to: "",
      },
    ],
  ];

  test.each(blamed)(
    "%s: %s is blamed",
    async (_, scenario, plant) => {
      expect((await outcomeOf(scenario, plant)).told).not.toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "findings are not deduplicated: handle dropped without close is told again and again",
    async () => {
      const from = "if (known?.active === true) return key;";
      const plant = { file: "leak-findings.ts", from, to: "" };
      const { told } = await outcomeOf("handle dropped without close", plant);
      expect(told.length).toBeGreaterThan(10);
    },
    TIMEOUT_MS,
  );
});
