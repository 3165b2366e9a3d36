// How often does the verdict of a soak blame a clean run, and how often does it let a leak pass? Against a line through
// all points, which sees the same runs. `--runs 400`, `--json` for one line of JSON.
import { parseArgs } from "node:util";
import { whole } from "../soak/numbers.ts";
import { study } from "./study.ts";
import type { Cell } from "./study.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "400" }, json: { type: "boolean", default: false } },
});
const runs = whole("runs", values.runs);
if (runs < 1) throw new RangeError("runs: expected at least 1");
const cells = study(runs);
if (values.json) console.log(JSON.stringify({ runs, cells }));
else print();

function print(): void {
  console.log(`${runs} runs a cell: passed / a leak / undecided [95 % interval of what is wrong]`);
  console.table(
    Object.fromEntries(
      cells.map(({ world, verdict, line }) => [
        world,
        { verdict: text(verdict), "line through all": text(line) },
      ]),
    ),
  );
  console.log("Wrong is: to blame a clean run for a leak, and to let a leak pass.");
}

function text({ passed, leak, undecided, wrong }: Cell): string {
  const shares = [passed, leak, undecided].map((count) => ((count / runs) * 100).toFixed(1));
  const { low, high } = wrong;
  return `${shares.join(" / ")} % [${(low * 100).toFixed(1)}, ${(high * 100).toFixed(1)}]`;
}
