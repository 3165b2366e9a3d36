import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** `--runs n`: the same again n times, each in a process and with a seed of its own. False unless all pass. */
export async function repeat(runs: number): Promise<boolean> {
  let passed = 0;
  const rest = withoutRuns(process.argv.slice(2));
  for (let run = 1; run <= runs; run += 1) {
    const args = [...process.execArgv, process.argv[1] ?? "", ...rest, "--seed", String(run)];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    console.log(`run ${run} of ${runs}: ${output.trim()}`);
    if (code === 0) passed += 1;
  }
  console.log(`${passed} of ${runs} passed`);
  return passed === runs;
}

function withoutRuns(args: readonly string[]): readonly string[] {
  return args.filter((arg, index) => !arg.startsWith("--runs") && args[index - 1] !== "--runs");
}
