// Runs every bench in processes of its own. `--json` prints one line of JSON, names of benches run only those,
// `--generations 20` repeats `cost` and `fetch` more often than usual. `instructions` takes minutes and runs only when named.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** Those of one stage run side by side: their answers are counts, or far coarser than what they do to each other. */
const STAGES = [
  ["cost"],
  ["fetch"],
  ["latency"],
  ["slow-replica"],
  ["lost-replica", "reuse"],
  ["burst", "outage"],
  ["instructions"],
];
const ONLY_WHEN_NAMED = ["instructions"];
const REPEATABLE = ["cost", "fetch"];

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false }, generations: { type: "string" } },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !STAGES.flat().includes(name));
if (unknown !== undefined) throw new Error(`${unknown} is none of ${STAGES.flat().join(", ")}`);

const results: Record<string, unknown> = {};
if (!values.json) console.log(`Node ${process.version}`);
for (const stage of STAGES) {
  const names = stage.filter((name) =>
    positionals.length === 0 ? !ONLY_WHEN_NAMED.includes(name) : positionals.includes(name),
  );
  const outputs = await Promise.all(names.map(run));
  for (const [index, name] of names.entries()) {
    if (values.json) results[name] = JSON.parse(outputs[index] ?? "");
    else process.stdout.write(outputs[index] ?? "");
  }
}
if (values.json) console.log(JSON.stringify(results));

async function run(name: string): Promise<string> {
  const args = [...process.execArgv, fileURLToPath(new URL(`${name}.ts`, import.meta.url))];
  if (values.json) args.push("--json");
  if (REPEATABLE.includes(name) && values.generations)
    args.push("--generations", values.generations);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (code !== 0) throw new Error(`the bench ${name} failed`);
  return output;
}
