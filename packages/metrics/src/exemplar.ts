/** The last traced observation of a bucket. */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly value: number;
  /** Unix time. */
  readonly seconds: number;
}

/** https://www.w3.org/TR/trace-context/: version, trace, parent, flags. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/;
const SAMPLED = 1;

/** Undefined unless `traceparent` is well-formed and its trace is sampled: there is nothing to look at otherwise. */
export function exemplarOf(traceparent: unknown, value: number): Exemplar | undefined {
  if (typeof traceparent !== "string") return undefined;
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  if ((Number.parseInt(flags ?? "0", 16) & SAMPLED) === 0) return undefined;
  return { traceId, spanId, value, seconds: Date.now() / 1000 };
}
