import type { FamilySnapshot } from "./snapshot.ts";

export interface OtelName {
  readonly name: string;
  /** UCUM, empty for none. */
  readonly unit: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** Units that receivers write back as the suffix they replace. Others stay in the name, and are an annotation beside it. */
const UCUM = new Map([
  ["amperes", "A"],
  ["bytes", "By"],
  ["celsius", "Cel"],
  ["days", "d"],
  ["grams", "g"],
  ["hertz", "Hz"],
  ["hours", "h"],
  ["joules", "J"],
  ["meters", "m"],
  ["microseconds", "us"],
  ["milliseconds", "ms"],
  ["minutes", "min"],
  ["nanoseconds", "ns"],
  ["percent", "%"],
  ["seconds", "s"],
  ["volts", "V"],
  ["watts", "W"],
]);

const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

/** https://github.com/open-telemetry/semantic-conventions-genai: the names that Prometheus writes with underscores. */
const CONVENTIONS: ReadonlyMap<string, OtelName> = new Map([
  [
    "mcp_server_operation_duration_seconds",
    {
      name: "mcp.server.operation.duration",
      unit: "s",
      attributes: new Map([
        ["mcp_method_name", "mcp.method.name"],
        ["gen_ai_tool_name", "gen_ai.tool.name"],
        ["error_type", "error.type"],
        ["network_transport", "network.transport"],
        ["mcp_protocol_version", "mcp.protocol.version"],
      ]),
    },
  ],
]);

/**
 * Names as OpenTelemetry wants them, without unit and type, such that a receiver that translates for Prometheus gets the names of
 * the scrape back. Where two families would become one, they keep their full names.
 */
export function otelNames(
  families: Readonly<Record<string, FamilySnapshot>>,
): ReadonlyMap<string, OtelName> {
  const names = new Map<string, OtelName>();
  const users = new Map<string, number>();
  for (const [family, { type, unit }] of Object.entries(families)) {
    const name = CONVENTIONS.get(family) ?? shortName(family, type, unit);
    names.set(family, name);
    users.set(name.name, (users.get(name.name) ?? 0) + 1);
  }
  for (const [family, { name, unit, attributes }] of names) {
    const taken = users.get(name) !== 1 || (name !== family && names.has(name));
    if (taken) names.set(family, { name: family, unit, attributes });
  }
  return names;
}

function shortName(family: string, type: FamilySnapshot["type"], unit: string): OtelName {
  const base = type === "counter" ? family.replace(/_total$/, "") : family;
  const ucum = unit === "ratio" && type === "gauge" ? "1" : UCUM.get(unit);
  const short = ucum === undefined ? base : base.slice(0, -`_${unit}`.length);
  const annotation = unit === "" ? "" : `{${unit}}`;
  return { name: short || family, unit: ucum ?? annotation, attributes: NO_ATTRIBUTES };
}
