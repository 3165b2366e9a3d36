// How many instructions does a request take in the client process? Callgrind counts them, so that a busy machine changes nothing.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { countBetweenMarks, valgrindVersion } from "../../../tools/bench/callgrind.ts";
import type { ClientName } from "./clients.ts";
import { percent, report } from "./report.ts";
import { BenchServer } from "./server.ts";

const BASELINE = "undici Pool.dispatch";
const OURS = "ConnectionPool.dispatch";
const CLIENT = fileURLToPath(new URL("instructions-client.ts", import.meta.url));
const WARM_UP_REQUESTS = 40_000;
const REQUESTS = 10_000;

const { values } = parseArgs({
  options: { connections: { type: "string", default: "50" }, json: { type: "boolean" } },
});
const connections = Number(values.connections);
const title = `instructions: a GET, ${connections} at a time, in user space`;
if (valgrindVersion() === undefined)
  report([{ title, rows: [], notes: ["Skipped: valgrind is not installed."] }]);
else {
  const server = await BenchServer.start({ kind: "light" });
  const baseline = await perRequest(BASELINE, server.origin);
  const ours = await perRequest(OURS, server.origin);
  await server.kill();
  report([
    {
      title,
      rows: [
        { client: BASELINE, instructions: Math.round(baseline) },
        {
          client: OURS,
          instructions: Math.round(ours),
          "over Pool": percent(ours / baseline),
          goal: "<= +3.0 %",
          verdict: ours / baseline <= 1.03 ? "met" : "missed",
        },
      ],
      notes: ["What the kernel does for them is not counted."],
    },
  ]);
}

async function perRequest(name: ClientName, origin: string): Promise<number> {
  const numbers = [connections, WARM_UP_REQUESTS, REQUESTS].map(String);
  const { counts } = await countBetweenMarks([CLIENT, name, origin, ...numbers]);
  return (counts[1] ?? Number.NaN) / REQUESTS;
}
