import assert from "node:assert/strict";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { Metrics } from "@mcp-accel/metrics";
import { metricProducer } from "@mcp-accel/metrics/otel";

const metrics = new Metrics();
metrics.operations.record({
  method: "tools/call",
  tool: "search",
  transport: "http",
  durationSeconds: 0.03,
});

// In a service: `new OTLPMetricExporter()` of @opentelemetry/exporter-metrics-otlp-http.
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({
  exporter,
  metricProducers: [metricProducer(metrics)],
});
const provider = new MeterProvider({ readers: [reader] });
await provider.forceFlush();

const [exported] = exporter.getMetrics();
const families = exported?.scopeMetrics.flatMap((scope) => scope.metrics) ?? [];
const duration = families.find(
  ({ descriptor }) => descriptor.name === "mcp.server.operation.duration",
);
assert.equal(duration?.descriptor.unit, "s");
assert.deepEqual(duration?.dataPoints[0]?.attributes, {
  "mcp.method.name": "tools/call",
  "gen_ai.tool.name": "search",
  "network.transport": "tcp",
});
console.log(families.map(({ descriptor }) => `${descriptor.name} ${descriptor.unit}`).join("\n"));

await provider.shutdown();
metrics.close();
