// Runs under callgrind: prints how often it does each operation of a package (or the one that is named), then does them. `getPriority` marks the phases
// (see callgrind.ts).
import { registerHooks } from "node:module";
import type { LoadFnOutput } from "node:module";
import { getPriority } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { PHASES } from "./instructions.ts";
import type { GateModule } from "./operation.ts";
import { planted } from "./plants.ts";

/** Short turns, so that V8 enters what it has compiled meanwhile. */
const TURNS = 20;

const [root = "", name = "", spins = "0", only = ""] = process.argv.slice(2);
if (Number(spins) > 0) plant(Number(spins));
const file = pathToFileURL(join(root, "packages", name, "bench/gate.ts"));
const { operations } = (await import(file.href)) as GateModule;
const counted = Object.entries(operations).filter(([key]) => only === "" || key === only);
const times = counted.map(([key, { iterations }]) => [key, iterations]);
console.log(JSON.stringify(Object.fromEntries(times)));
getPriority();
for (const [, { iterations, run }] of counted)
  for (let phase = 0; phase < PHASES; phase += 1) {
    for (let turn = 0; turn < TURNS; turn += 1) await run(iterations / TURNS);
    getPriority();
  }
process.exit();

/** Makes the package slower while its source is loaded. */
function plant(count: number): void {
  let found = false;
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      const source = planted(name, url, textOf(loaded.source), count);
      if (source === undefined) return loaded;
      found = true;
      return { ...loaded, source };
    },
  });
  process.once("exit", () => {
    if (!found) throw new Error(`the source of ${name} has changed: nothing was planted`);
  });
}

/** What is built in has no source. */
function textOf(source: LoadFnOutput["source"] | null): string {
  if (typeof source === "string") return source;
  return new TextDecoder().decode(source ?? undefined);
}
