/** A strict reader of both exposition formats: what Prometheus would refuse or warn about is an error here. */
export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar?: { readonly labels: Readonly<Record<string, string>>; readonly value: number };
}

export interface ParsedFamily {
  readonly name: string;
  type: string;
  readonly help: string;
  readonly samples: ParsedSample[];
}

type Format = "prometheus" | "openmetrics";

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const DESCRIPTOR = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`, "s");
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.+)\\})? (\\S+)$`, "s");
const EXEMPLAR = / # \{(.*)\} (\S+) (\d+(?:\.\d+)?)$/s;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

export function parseExposition(text: string, format: Format): Map<string, ParsedFamily> {
  if (!text.endsWith("\n")) throw new Error("no newline at the end");
  const lines = text.slice(0, -1).split("\n");
  if (format === "openmetrics" && lines.pop() !== "# EOF") throw new Error("no # EOF");
  const families = new Map<string, ParsedFamily>();
  let current: ParsedFamily | undefined;
  for (const line of lines) {
    if (line === "" && format === "prometheus") continue;
    current = parseLine(line, current, families, format);
  }
  for (const family of families.values()) checkFamily(family, format);
  return families;
}

function parseLine(
  line: string,
  current: ParsedFamily | undefined,
  families: Map<string, ParsedFamily>,
  format: Format,
): ParsedFamily {
  const [, keyword, name = "", text = ""] = DESCRIPTOR.exec(line) ?? [];
  if (keyword === "HELP") {
    if (families.has(name)) throw new Error(`second HELP of ${name}`);
    const family = { name, type: "", help: unescapeHelp(text, format), samples: [] };
    families.set(name, family);
    return family;
  }
  if (current === undefined) throw new Error(`before any HELP: ${line}`);
  if (keyword === "TYPE") {
    if (current.name !== name || current.type !== "") throw new Error(`misplaced TYPE: ${line}`);
    if (!["counter", "gauge", "histogram"].includes(text)) throw new Error(`type ${text}`);
    current.type = text;
    return current;
  }
  current.samples.push(
    format === "openmetrics" && current.type === "histogram"
      ? parseWithExemplar(line)
      : parseSample(line),
  );
  return current;
}

function parseWithExemplar(line: string): ParsedSample {
  const match = EXEMPLAR.exec(line);
  if (match === null) return parseSample(line);
  const sample = parseSample(line.slice(0, match.index));
  const [, text = "", value = ""] = match;
  const labels = parseLabels(text);
  if (!sample.name.endsWith("_bucket")) throw new Error(`exemplar of ${sample.name}`);
  if (Object.entries(labels).flat().join("").length > 128)
    throw new Error(`long exemplar: ${text}`);
  const exemplar = { labels, value: parseValue(value) };
  if (exemplar.value > parseValue(sample.labels["le"] ?? "")) throw new Error(`above le: ${line}`);
  return { ...sample, exemplar };
}

function parseSample(line: string): ParsedSample {
  const match = SAMPLE.exec(line);
  if (match === null) throw new Error(`not a sample: ${line}`);
  const [, name = "", labels, value = ""] = match;
  return {
    name,
    labels: labels === undefined ? {} : parseLabels(labels),
    value: parseValue(value),
  };
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`bad labels: ${text}`);
    const [, name = "", value = ""] = match;
    if (Object.hasOwn(labels, name)) throw new Error(`label ${name} twice: ${text}`);
    labels[name] = value.replaceAll(/\\(.)/gs, (_, escaped) => (escaped === "n" ? "\n" : escaped));
  }
  return labels;
}

function parseValue(text: string): number {
  if (/^[+-]?inf$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return NaN;
  if (!/^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)) throw new Error(`bad number: ${text}`);
  return Number(text);
}

function unescapeHelp(text: string, format: Format): string {
  if (format === "openmetrics" && /(?<!\\)"/.test(text)) throw new Error(`bare quote: ${text}`);
  if (/(?<!\\)(?:\\\\)*\\[^\\n"]/.test(text)) throw new Error(`bad escape: ${text}`);
  return text.replaceAll(/\\(.)/gs, (_, escaped) => (escaped === "n" ? "\n" : escaped));
}

function checkFamily(family: ParsedFamily, format: Format): void {
  const { name, type, samples } = family;
  if (type === "") throw new Error(`no TYPE of ${name}`);
  const seen = new Set<string>();
  for (const sample of samples) {
    const key = JSON.stringify([
      sample.name,
      Object.entries(sample.labels).toSorted(([left], [right]) => (left < right ? -1 : 1)),
    ]);
    if (seen.has(key)) throw new Error(`duplicate series ${key}`);
    seen.add(key);
  }
  if (type === "counter") checkCounter(family, format);
  else if (type === "histogram") checkHistogram(family, format);
  else {
    if (name.endsWith("_total")) throw new Error(`gauge ${name}`);
    for (const sample of samples) if (sample.name !== name) throw new Error(sample.name);
  }
}

function checkCounter({ name, samples }: ParsedFamily, format: Format): void {
  const isOpen = format === "openmetrics";
  if (isOpen === name.endsWith("_total")) throw new Error(`counter ${name}`);
  for (const sample of samples) {
    if (sample.name !== (isOpen ? `${name}_total` : name)) throw new Error(sample.name);
    if (!(sample.value >= 0)) throw new Error(`counter ${name} is ${sample.value}`);
  }
}

interface HistogramSeries {
  readonly bounds: number[];
  readonly counts: number[];
  readonly rest: Map<string, number>;
}

function checkHistogram({ name, samples }: ParsedFamily, format: Format): void {
  const series = new Map<string, HistogramSeries>();
  for (const { name: sampleName, labels, value } of samples) {
    const { le, ...others } = labels;
    const key = JSON.stringify(
      Object.entries(others).toSorted(([left], [right]) => (left < right ? -1 : 1)),
    );
    const entry: HistogramSeries = series.get(key) ?? {
      bounds: [],
      counts: [],
      rest: new Map<string, number>(),
    };
    series.set(key, entry);
    if (sampleName !== `${name}_bucket`) entry.rest.set(sampleName, value);
    else {
      if (le === undefined) throw new Error(`bucket without le in ${name}`);
      if (format === "openmetrics" && /^\d+$/.test(le)) throw new Error(`le="${le}" in ${name}`);
      entry.bounds.push(parseValue(le));
      entry.counts.push(value);
    }
  }
  for (const { bounds, counts, rest } of series.values()) {
    if (!rises(bounds, true) || bounds.at(-1) !== Infinity) throw new Error(`bounds of ${name}`);
    if (!rises(counts, false)) throw new Error(`counts of ${name}: ${counts.join()}`);
    if (rest.get(`${name}_count`) !== counts.at(-1)) throw new Error(`count of ${name}`);
    if (rest.size !== 2 || !rest.has(`${name}_sum`)) throw new Error(`sum of ${name}`);
  }
}

function rises(values: readonly number[], strictly: boolean): boolean {
  return values.every((value, index) => {
    const before = values[index - 1];
    return before === undefined || value > before || (!strictly && value === before);
  });
}
