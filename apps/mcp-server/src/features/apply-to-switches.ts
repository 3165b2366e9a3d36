import type { Config } from "../config/options.ts";
import type { Collectable, Feature } from "./feature.ts";
import type { MetricsFeature } from "./metrics.ts";
import type { Prepared, Switch } from "./switch.ts";

export interface Switches extends Readonly<
  Record<"cache" | "pool" | "guard" | "batch", Switch<Feature>>
> {
  readonly metrics: Switch<MetricsFeature>;
}

/**
 * Replaces every feature that a changed option belongs to. All are made before the first is used, so that one that cannot be made
 * leaves everything as it was.
 * @throws what making a feature throws
 */
export function applyToSwitches(
  switches: Switches,
  wanted: Config,
  changed: readonly string[],
  reportError: (error: unknown, where: string) => void,
): void {
  const names = (Object.keys(switches) as (keyof Switches)[]).filter((name) =>
    changed.some((path) => path === `features.${name}` || path.startsWith(`${name}.`)),
  );
  const prepared = prepareAll(
    names.map((name) => switches[name]),
    wanted,
    reportError,
  );
  const { metrics, ...others } = switches;
  const moved = names.includes("metrics")
    ? Object.values(others)
    : names.map((name) => switches[name]);
  const components = (): readonly Collectable[] =>
    moved.flatMap(({ current }) => current.collectables);
  metrics.current.follow(components(), []);
  for (const { commit } of prepared) commit();
  metrics.current.follow([], components());
}

function prepareAll(
  switches: readonly Switch<Feature>[],
  wanted: Config,
  reportError: (error: unknown, where: string) => void,
): readonly Prepared[] {
  const prepared: Prepared[] = [];
  try {
    for (const one of switches) prepared.push(one.prepare(wanted));
    return prepared;
  } catch (error) {
    for (const { discard } of prepared)
      discard().catch((failed: unknown) => reportError(failed, "switching"));
    throw error;
  }
}
