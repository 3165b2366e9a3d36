export type ExpositionFormat = "prometheus" | "openmetrics";

interface MediaRange {
  readonly type: string;
  readonly version: string | undefined;
  readonly quality: number;
}

const OFFERS = {
  prometheus: { type: "text/plain", group: "text/*", version: "0.0.4" },
  openmetrics: {
    type: "application/openmetrics-text",
    group: "application/*",
    version: "1.0.0",
  },
} as const;

const MAX_RANGES = 64;

/**
 * The format an `Accept` header asks for (RFC 9110, section 12.5.1). OpenMetrics must be preferred to be chosen; without a header,
 * between equals, and when neither is acceptable the answer is the Prometheus text format.
 */
export function negotiateFormat(accept: string | undefined): ExpositionFormat {
  if (accept === undefined || accept.trim() === "") return "prometheus";
  const ranges = accept.split(",", MAX_RANGES).map(parseRange);
  const text = qualityOf("prometheus", ranges);
  return qualityOf("openmetrics", ranges) > text ? "openmetrics" : "prometheus";
}

function qualityOf(format: ExpositionFormat, ranges: readonly MediaRange[]): number {
  const offer = OFFERS[format];
  const exact = ranges.filter(({ type, version }) => {
    return type === offer.type && (version === undefined || version === offer.version);
  });
  if (exact.length > 0) return Math.max(...exact.map(({ quality }) => quality));
  const wildcard = ranges.find(({ type }) => type === offer.group);
  return (wildcard ?? ranges.find(({ type }) => type === "*/*"))?.quality ?? 0;
}

function parseRange(range: string): MediaRange {
  const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
  const valueOf = (name: string): string | undefined => {
    const parameter = parameters.find((part) => part.startsWith(`${name}=`));
    return parameter?.slice(name.length + 1).replaceAll('"', "");
  };
  return { type, version: valueOf("version"), quality: parseQuality(valueOf("q")) };
}

function parseQuality(value: string | undefined): number {
  if (value === undefined) return 1;
  const quality = Number(value);
  return value !== "" && quality >= 0 && quality <= 1 ? quality : 0;
}
