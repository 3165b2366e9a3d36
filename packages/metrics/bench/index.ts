// What does measuring cost? A recorded operation against the client's own histogram and against nothing; a scrape of 1,000 series
// against the client's registry with direct instruments and against naive string concatenation.
import { Counter, Gauge, Histogram, Registry } from "@prometheus-io/client";
import { Bench } from "tinybench";
import { Metrics } from "@mcp-accel/metrics";
import type { ScalarFamily } from "@mcp-accel/metrics";

const ROUNDS = 9;
const ROUND_MS = 60;
const TOOLS = 30;
const GAUGES = 20;
const SHARDS = 20;
const BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300,
];
const LABELS = ["mcp_method_name", "gen_ai_tool_name", "network_transport", "mcp_protocol_version"];
const VERSION = "2025-11-25";
const TOOL_NAMES = Array.from({ length: TOOLS }, (_, index) => `tool_${index}`);

interface Contender {
  readonly name: string;
  /** Operations in one run. */
  readonly operations: number;
  readonly run: () => unknown;
}

interface Row {
  readonly name: string;
  readonly nanoseconds: number;
  /** Time divided by that of the reference in the same round: lowest, median, highest. */
  readonly ratio: readonly [number, number, number];
}

interface Answer {
  readonly title: string;
  readonly reference: string;
  readonly rows: readonly Row[];
}

const questions = [
  { title: "one recorded operation", contenders: recording(), reference: "operations.record" },
  { title: "one scrape of 1,000 series", contenders: scraping(), reference: "metrics.exposition" },
];
const answers: Answer[] = [];
for (const { title, contenders, reference } of questions) {
  answers.push({ title, reference, rows: await compare(contenders, reference) });
}
const environment = `Node ${process.version}, ${process.arch}, ${ROUNDS} interleaved rounds`;
if (process.argv.includes("--json")) console.log(JSON.stringify({ environment, answers }, null, 2));
else print();

/** One run is 100 operations, so that the timer of the bench does not count. */
function recording(): readonly Contender[] {
  const metrics = new Metrics({ runtime: false });
  const histogram = new Histogram({
    name: "h_seconds",
    help: "h",
    labelNames: LABELS,
    buckets: BUCKETS,
    registers: [new Registry()],
  });
  const children = TOOL_NAMES.map((name) => histogram.labels(labelsOf(name)));
  const sink = { length: 0 };
  const call = {
    method: "tools/call",
    transport: "http",
    protocolVersion: VERSION,
    durationSeconds: 0.012,
  };
  return [
    hundred("no measuring", (tool) => (sink.length += tool.length)),
    hundred("operations.record", (tool) => metrics.operations.record({ ...call, tool })),
    hundred("client histogram.observe", (tool) => histogram.observe(labelsOf(tool), 0.012)),
    hundred("client labels().observe", (_, index) => children[index]?.observe(0.012)),
  ];
}

function hundred(name: string, operation: (tool: string, index: number) => unknown): Contender {
  const run = () => {
    for (let count = 0; count < 100; count += 1) {
      const index = count % TOOLS;
      operation(TOOL_NAMES[index] ?? "", index);
    }
  };
  return { name, operations: 100, run };
}

/** 400 gauges in 20 families and 30 histogram series of 20 lines: 1,000 lines of samples. */
function scraping(): readonly Contender[] {
  const metrics = new Metrics({ runtime: false });
  metrics.collect({
    metricFamilies: () => Array.from({ length: GAUGES }, (_, index) => shards(index)),
  });
  const registry = new Registry();
  const histogram = new Histogram({
    name: "h_seconds",
    help: "h",
    labelNames: LABELS,
    buckets: BUCKETS,
    registers: [registry],
  });
  for (const name of TOOL_NAMES) {
    for (let call = 0; call < 20; call += 1) {
      const durationSeconds = call / 10;
      histogram.observe(labelsOf(name), durationSeconds);
      metrics.operations.record({
        method: "tools/call",
        tool: name,
        transport: "http",
        protocolVersion: VERSION,
        durationSeconds,
      });
    }
  }
  for (let index = 0; index < GAUGES; index += 1) {
    const gauge = new Gauge({
      name: `load_${index}`,
      help: "l",
      labelNames: ["shard"],
      registers: [registry],
    });
    for (let shard = 0; shard < SHARDS; shard += 1) gauge.set({ shard: `s${shard}` }, shard);
  }
  new Counter({ name: "calls_total", help: "c", registers: [registry] }).inc();
  return [
    { name: "naive concatenation", operations: 1, run: naiveScrape() },
    { name: "metrics.exposition", operations: 1, run: () => metrics.exposition() },
    { name: "client registry.metrics", operations: 1, run: () => registry.metrics() },
  ];
}

function shards(index: number): ScalarFamily {
  const samples = Array.from({ length: SHARDS }, (_, shard) => ({
    value: shard,
    labels: { shard: `s${shard}` },
  }));
  return {
    type: "gauge",
    name: `load_${index}`,
    help: "l",
    unit: "",
    labels: ["shard"],
    read: () => samples,
  };
}

/** The floor: no escaping, no checks, no families from elsewhere. */
function naiveScrape(): () => number {
  const counts = Array.from({ length: BUCKETS.length + 1 }, () => 1);
  return () => {
    let text = "";
    for (let index = 0; index < GAUGES; index += 1) {
      text += `# HELP load_${index} l\n# TYPE load_${index} gauge\n`;
      for (let shard = 0; shard < SHARDS; shard += 1)
        text += `load_${index}{shard="s${shard}"} ${shard}\n`;
    }
    text += "# HELP h_seconds h\n# TYPE h_seconds histogram\n";
    for (const tool of TOOL_NAMES) {
      const labels = `mcp_method_name="tools/call",gen_ai_tool_name="${tool}",network_transport="tcp",mcp_protocol_version="${VERSION}"`;
      let count = 0;
      for (const [index, value] of counts.entries()) {
        count += value;
        text += `h_seconds_bucket{le="${BUCKETS[index] ?? "+Inf"}",${labels}} ${count}\n`;
      }
      text += `h_seconds_sum{${labels}} 1\nh_seconds_count{${labels}} ${count}\n`;
    }
    return Buffer.byteLength(text);
  };
}

function labelsOf(tool: string): Record<string, string> {
  return {
    mcp_method_name: "tools/call",
    gen_ai_tool_name: tool,
    network_transport: "tcp",
    mcp_protocol_version: VERSION,
  };
}

async function compare(contenders: readonly Contender[], reference: string): Promise<Row[]> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    // Each round starts with another contender; the first round only warms up.
    const order = contenders.map((_, index) => contenders[(index + round) % contenders.length]);
    const bench = new Bench({ time: ROUND_MS, warmupTime: 20 });
    for (const contender of order)
      if (contender !== undefined) bench.add(contender.name, contender.run);
    await bench.run();
    if (round === 0) continue;
    for (const { name, operations } of contenders) {
      const result = bench.getTask(name)?.result;
      if (result === undefined || !("latency" in result)) throw new Error(`${name} did not run`);
      times.get(name)?.push((result.latency.p50 * 1e6) / operations);
    }
  }
  const references = times.get(reference) ?? [];
  return contenders.map(({ name }) => {
    const own = times.get(name) ?? [];
    const ratios = own.map((time, round) => time / (references[round] ?? NaN));
    const sorted = ratios.toSorted((left, right) => left - right);
    return {
      name,
      nanoseconds: median(own),
      ratio: [sorted[0] ?? NaN, median(ratios), sorted.at(-1) ?? NaN],
    };
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? NaN;
}

function print(): void {
  console.log(environment);
  for (const { title, reference, rows } of answers) {
    console.log(`\n${title}: time relative to ${reference}, median [lowest, highest]`);
    for (const { name, nanoseconds, ratio } of rows) {
      const [lowest, middle, highest] = ratio.map((value) => value.toFixed(2));
      const time =
        nanoseconds < 1e4 ? `${nanoseconds.toFixed(0)} ns` : `${(nanoseconds / 1e6).toFixed(3)} ms`;
      console.log(
        `  ${name.padEnd(26)} ${`${middle}x`.padStart(8)} [${lowest}, ${highest}]  ${time}`,
      );
    }
  }
}
