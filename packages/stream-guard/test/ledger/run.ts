import type { StreamGuardStats } from "@mcp-accel/stream-guard";
import type { Settings } from "./settings.ts";
import { Mistake, World } from "./world.ts";

export const STEPS_PER_WORLD = 1000;

/** What happened, to know that it was more than nothing. */
export type Seen = Record<"refused" | "principal" | "evicted" | "waited" | "paused", number>;

export interface Outcome {
  /** The first mistake with what is needed to see it again. */
  readonly mistake: string | undefined;
  readonly seen: Seen;
}

/** Runs worlds of a thousand operations each, the first with `firstSeed`, until there is a mistake. */
export async function runWorlds(
  settings: Settings,
  worlds: number,
  firstSeed: number,
): Promise<Outcome> {
  const seen: Seen = { refused: 0, principal: 0, evicted: 0, waited: 0, paused: 0 };
  for (let seed = firstSeed; seed < firstSeed + worlds; seed += 1) {
    const world = new World(settings, seed);
    let step = 0;
    try {
      world.guard.on("wait", () => (seen.waited += 1));
      for (; step < STEPS_PER_WORLD; step += 1) await world.step();
      count(world.guard.stats(), seen);
      await world.end();
    } catch (error) {
      const what = error instanceof Mistake ? error.message : String((error as Error).stack);
      const mistake = `${what} (${settings.name}, operation ${step}; LEDGER_SEED=${seed} repeats it)`;
      return { mistake, seen };
    }
  }
  return { mistake: undefined, seen };
}

function count({ limited, evicted, pauses }: StreamGuardStats, seen: Seen): void {
  seen.refused += limited.session + limited.guard;
  seen.principal += limited.principal;
  seen.evicted += evicted.idle + evicted.stalled;
  seen.paused += pauses;
}
