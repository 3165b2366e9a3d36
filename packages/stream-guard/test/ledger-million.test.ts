import { expect, test } from "vitest";
import { runWorlds, STEPS_PER_WORLD } from "./ledger/run.ts";
import { allSettings } from "./ledger/settings.ts";

// A million random operations, misuse among them, compared with a naive ledger after each one.
const OPERATIONS = 1_000_000;
const TIMEOUT_MS = 300_000;

const given = process.env["LEDGER_SEED"];
const firstSeed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
const worlds = Math.ceil(OPERATIONS / STEPS_PER_WORLD / allSettings.length);

test.each(allSettings)(
  "over random operations the ledger is exact, below its limits and empty at the end: $name",
  async (settings) => {
    const { mistake, seen } = await runWorlds(settings, worlds, firstSeed);
    expect(mistake).toBeUndefined();
    const { options, streams } = settings;
    expect(seen.refused).toBeGreaterThan(worlds);
    expect(seen.waited).toBeGreaterThan(worlds);
    expect(seen.evicted).toBeGreaterThan(0);
    const budgets = options.principalMaxMemoryBytes !== undefined;
    expect(seen.principal).toBeGreaterThan(budgets ? worlds / 10 : -1);
    expect(seen.paused).toBeGreaterThan(streams ? 0 : -1);
  },
  TIMEOUT_MS,
);
