// Runs every bench, or those named, in processes of their own. `--json` prints one line of JSON.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const NAMES = ["ledger", "pipe", "streams", "pool", "pool-queue"];

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !NAMES.includes(name));
if (unknown !== undefined) throw new Error(`${unknown} is none of ${NAMES.join(", ")}`);

const results: Record<string, unknown> = {};
if (!values.json) console.log(`Node ${process.version}`);
for (const name of positionals.length === 0 ? NAMES : positionals) {
  const output = run(name);
  if (values.json) results[name] = JSON.parse(output);
  else process.stdout.write(output);
}
if (values.json) console.log(JSON.stringify(results));

function run(name: string): string {
  const args = [...process.execArgv, fileURLToPath(new URL(`${name}.ts`, import.meta.url))];
  if (values.json) args.push("--json");
  const { status, stdout } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the bench ${name} failed`);
  return stdout;
}
