// Runs one scenario and prints what was found. With `--plant` the detector's own source is changed first.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const [name = "", plant] = process.argv.slice(2);
if (plant !== undefined) change(JSON.parse(plant) as Plant);

const { runScenario } = await import("./scenario.ts");
const { planted } = await import("./planted.ts");
const { innocent } = await import("./innocent.ts");
const scenario = { ...planted, ...innocent }[name];
if (scenario === undefined) throw new Error(`no scenario ${name}`);
console.log(JSON.stringify(await runScenario(scenario)));

interface Plant {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

function change({ file, from, to }: Plant): void {
  registerHooks({
    load: (url, context, next) => {
      if (!url.endsWith(`/src/${file}`)) return next(url, context);
      const source = readFileSync(fileURLToPath(url), "utf8");
      if (!source.includes(from)) throw new Error(`${file} has no ${from}`);
      return { format: "module-typescript", source: source.replace(from, to), shortCircuit: true };
    },
  });
}
