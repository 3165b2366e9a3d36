// Runs every bench in a process of its own, so that none suffers from the heap of another. `--json` prints one line of JSON, a
// name of a bench runs only that one.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const benches = ["overhead", "queue", "idle", "poison", "sqlite", "http"];

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !benches.includes(name));
if (unknown !== undefined) throw new Error(`${unknown} is none of ${benches.join(", ")}`);

const results: Record<string, unknown> = {};
if (!values.json) console.log(`Node ${process.version}`);
for (const name of positionals.length > 0 ? positionals : benches) {
  const output = run(name);
  if (values.json) results[name] = JSON.parse(output);
}
if (values.json) console.log(JSON.stringify(results));

function run(name: string): string {
  const args = [...process.execArgv, fileURLToPath(new URL(`${name}.ts`, import.meta.url))];
  if (values.json) args.push("--json");
  const { status, stdout } = spawnSync(process.execPath, args, {
    stdio: ["ignore", values.json ? "pipe" : "inherit", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the bench ${name} failed`);
  return stdout ?? "";
}
