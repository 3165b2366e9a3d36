// Prints the first mistake as JSON: node run-worlds.ts <worlds of each kind> <seed> [<kind>]
import { runWorlds } from "./run.ts";
import { allSettings } from "./settings.ts";

const [worlds = "10", seed = "1", kind] = process.argv.slice(2);
let mistake: string | undefined;
for (const settings of allSettings)
  if (kind === undefined || settings.name === kind)
    mistake ??= (await runWorlds(settings, Number(worlds), Number(seed))).mistake;
console.log(JSON.stringify(mistake ?? null));
