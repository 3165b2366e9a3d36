import { spawnSync } from "node:child_process";
import { EventEmitter } from "eventemitter3";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canRun } from "../../../tools/services/find.ts";
import { promtoolProgram } from "../../../tools/services/prometheus.ts";
import { AlreadyCollectedError, FamilyConflictError, Metrics } from "../src/index.ts";
import type { Collectable, MetricFamily } from "../src/index.ts";
import { scrape } from "./components.ts";

const MAX_VALUES = 3;
const NAMES = ["jobs", "constructor", "wait", "__proto__", "size", "x:y"];
const LABELS = ["kind", "constructor", "toString", "shard"];

const labelNames = fc.subarray(LABELS);
const labelValue = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    "b",
    "_OTHER",
    "__proto__",
    'quo"te',
    "back\\slash",
    "new\nline",
    "{}=,",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);
const number = fc.oneof(
  fc.nat(),
  fc.double(),
  fc.constantFrom(NaN, Infinity, -Infinity, -0, 1e300, 5e-324),
);
const step = fc.record({
  number,
  values: fc.array(labelValue, { minLength: LABELS.length, maxLength: LABELS.length }),
});

const component = fc.record({
  name: fc.constantFrom(...NAMES),
  type: fc.constantFrom("counter", "gauge", "histogram"),
  unit: fc.constantFrom("", "seconds", "bytes"),
  labels: labelNames,
  help: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
  n: fc.constantFrom("1", "2"),
  rounds: fc.array(fc.array(step, { maxLength: 8 }), { minLength: 3, maxLength: 3 }),
});
type Random = typeof component extends fc.Arbitrary<infer T> ? T : never;

const valueOf = (event: { value: number }) => event.value;
const labelsOf = (event: { labels: Record<string, string> }) => event.labels;

/** A component of one family: counters only rise, gauges are anything, histograms take every event. */
class RandomComponent extends EventEmitter implements Collectable {
  readonly #random: Random;
  readonly #counts = new Map<string, { value: number; labels: Record<string, string> }>();
  #gauges: { value: number; labels: Record<string, string> }[] = [];

  constructor(random: Random) {
    super();
    this.#random = random;
  }

  metricFamilies(): readonly MetricFamily[] {
    const { name, type, unit, labels, help } = this.#random;
    const base = `${name}_${type}${unit === "" ? "" : `_${unit}`}`;
    if (type === "histogram") {
      const events = { event: "step", buckets: [-1, 0, 0.5, 1e6] };
      return [{ name: base, type, unit, labels, help, ...events, value: valueOf, labelsOf }];
    }
    const full = type === "counter" ? `${base}_total` : base;
    const read = () => (type === "counter" ? [...this.#counts.values()] : this.#gauges);
    return [{ name: full, type, unit, labels, help, read }];
  }

  play(round: number): void {
    const { labels: names } = this.#random;
    this.#gauges = [];
    const seen = new Set<string>();
    for (const { number: value, values } of this.#random.rounds[round] ?? []) {
      const labels = Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""]));
      const key = JSON.stringify(labels);
      this.emit("step", { value, labels });
      if (!seen.has(key)) this.#gauges.push({ value, labels });
      seen.add(key);
      const count = this.#counts.get(key) ?? { value: 0, labels };
      count.value += Number.isFinite(value) ? Math.min(Math.abs(value), 1e9) : 0;
      this.#counts.set(key, count);
    }
  }
}

function collected(metrics: Metrics, randoms: readonly Random[]): readonly RandomComponent[] {
  return randoms.flatMap((random) => {
    const made = new RandomComponent(random);
    try {
      metrics.collect(made, { labels: { n: random.n } });
      return [made];
    } catch (error) {
      // Families that collide are refused; nothing else is wrong with them.
      if (error instanceof FamilyConflictError || error instanceof AlreadyCollectedError) return [];
      throw error;
    }
  });
}

test("whatever components describe and read, both formats parse, counters rise and labels are bounded", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(component, { maxLength: 8 }), async (randoms) => {
      using metrics = new Metrics({ runtime: false, maxLabelValues: MAX_VALUES });
      const components = collected(metrics, randoms);
      const totals = new Map<string, number>();
      for (let round = 0; round < 3; round += 1) {
        for (const made of components) made.play(round);
        for (const { name, type, samples } of (await scrape(metrics)).values()) {
          for (const sample of samples) {
            if (type === "gauge" || sample.name === `${name}_sum`) continue;
            const key = JSON.stringify([sample.name, sample.labels]);
            expect(sample.value).toBeGreaterThanOrEqual(totals.get(key) ?? 0);
            totals.set(key, sample.value);
          }
          for (const label of LABELS) {
            const values = new Map<string, Set<string>>();
            for (const { labels } of samples) {
              const own = values.get(labels["n"] ?? "") ?? new Set<string>();
              values.set(labels["n"] ?? "", own.add(labels[label] ?? ""));
            }
            // Those that were admitted, none, and _OTHER.
            for (const own of values.values()) expect(own.size).toBeLessThanOrEqual(MAX_VALUES + 2);
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

test.runIf(canRun("random families", "promtool", promtoolProgram))(
  "promtool reads them too",
  async () => {
    const randoms = fc.sample(fc.array(component, { minLength: 6, maxLength: 12 }), 15);
    for (const sample of randoms) {
      using metrics = new Metrics({ runtime: false, maxLabelValues: MAX_VALUES });
      for (const made of collected(metrics, sample))
        for (const round of [0, 1, 2]) made.play(round);
      const { body } = await metrics.exposition();
      const { status } = spawnSync(promtoolProgram ?? "", ["check", "metrics"], { input: body });
      // 3 is an opinion on names; 1 would be trouble with the text.
      expect([0, 3]).toContain(status);
    }
  },
);
