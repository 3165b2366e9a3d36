export { metricProducer } from "./otel-producer.ts";
export type { HasSnapshot, ProducerOptions } from "./otel-producer.ts";
