import { InvalidOptionError } from "./errors.ts";
import type { MetricSample, ScalarFamily } from "./metric-families.ts";
import type { TierOptions } from "./options.ts";

interface Tier {
  readonly name: string;
  readonly objectiveSeconds: number;
  calls: number;
  misses: number;
}

/** The tier of a tool that was not assigned to one. */
export const DEFAULT_TIER = "standard";

/** Latency objectives of tools: which tier a tool is in, and how many calls took longer than its tier allows. */
export class Tiers {
  readonly #tiers = new Map<string, Tier>();
  readonly #tierOf = new Map<string, Tier>();
  readonly #standard: Tier;
  readonly #maxTools: number;

  constructor(tiers: Readonly<Record<string, TierOptions>>, maxTools: number) {
    for (const [name, { objectiveMs }] of Object.entries(tiers)) {
      this.#tiers.set(name, { name, objectiveSeconds: objectiveMs / 1000, calls: 0, misses: 0 });
    }
    this.#standard = this.#named(DEFAULT_TIER);
    this.#maxTools = maxTools;
  }

  assign(tool: string, tier: string): void {
    if (typeof tool !== "string" || tool === "") {
      throw new InvalidOptionError("tool", "a non-empty string", tool);
    }
    const assigned = this.#named(tier);
    if (!this.#tierOf.has(tool) && this.#tierOf.size >= this.#maxTools) {
      throw new InvalidOptionError(
        "tool",
        `at most maxLabelValues (${this.#maxTools}) tools`,
        tool,
      );
    }
    this.#tierOf.set(tool, assigned);
  }

  /** Name of the tier `tool` is in. */
  of(tool: string): string {
    return (this.#tierOf.get(tool) ?? this.#standard).name;
  }

  count(tool: string, durationSeconds: number): void {
    const tier = this.#tierOf.get(tool) ?? this.#standard;
    tier.calls += 1;
    if (durationSeconds > tier.objectiveSeconds) tier.misses += 1;
  }

  metricFamilies(): readonly ScalarFamily[] {
    return [
      this.#family(
        "counter",
        "mcp_server_tool_calls_total",
        "Tool calls, by latency tier",
        "",
        (tier) => tier.calls,
      ),
      this.#family(
        "counter",
        "mcp_server_tool_objective_misses_total",
        "Tool calls that took longer than the objective of their latency tier",
        "",
        (tier) => tier.misses,
      ),
      this.#family(
        "gauge",
        "mcp_server_tool_objective_seconds",
        "Latency objective of the tier",
        "seconds",
        (tier) => tier.objectiveSeconds,
      ),
    ];
  }

  #named(name: string): Tier {
    const tier = this.#tiers.get(name);
    if (tier === undefined) {
      throw new InvalidOptionError("tier", `one of ${[...this.#tiers.keys()].join(", ")}`, name);
    }
    return tier;
  }

  #family(
    type: "counter" | "gauge",
    name: string,
    help: string,
    unit: string,
    value: (tier: Tier) => number,
  ): ScalarFamily {
    const sample = (tier: Tier): MetricSample => ({
      value: value(tier),
      labels: { tier: tier.name },
    });
    const read = () => Array.from(this.#tiers.values(), sample);
    return { type, name, help, unit, labels: ["tier"], read };
  }
}
