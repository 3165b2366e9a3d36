// How many instructions does a request take in the client process? Callgrind counts them, so that a busy machine changes nothing.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { ClientName } from "./clients.ts";
import { percent, report } from "./report.ts";
import { BenchServer } from "./server.ts";

const BASELINE = "undici Pool.dispatch";
const OURS = "ConnectionPool.dispatch";
/** By then V8 has compiled what is hot; the difference of two counts is what the requests in between took. */
const WARM_UP_REQUESTS = 20_000;
const COUNTED_REQUESTS = 10_000;
const VALGRIND = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
const NODE = [
  "--min-semi-space-size=16",
  "--max-semi-space-size=16",
  "--initial-old-space-size=256",
  "--predictable",
  "--predictable-gc-schedule",
  "--single-threaded",
  "--hash-seed=1",
  "--random-seed=1",
  "--conditions=@mcp-accel/source",
];

const { values } = parseArgs({
  options: { connections: { type: "string", default: "50" }, json: { type: "boolean" } },
});
const connections = Number(values.connections);
const title = `instructions: a GET, ${connections} at a time, in user space`;
if (spawnSync("valgrind", ["--version"]).error !== undefined) {
  report([{ title, rows: [], notes: ["Skipped: valgrind is not installed."] }]);
} else {
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
  const before = await count(name, origin, WARM_UP_REQUESTS);
  const after = await count(name, origin, WARM_UP_REQUESTS + COUNTED_REQUESTS);
  return (after - before) / COUNTED_REQUESTS;
}

async function count(name: ClientName, origin: string, requests: number): Promise<number> {
  const file = fileURLToPath(new URL("instructions-client.ts", import.meta.url));
  const client = [file, name, origin, String(connections), String(requests)];
  const child = spawn("valgrind", [...VALGRIND, process.execPath, ...NODE, ...client], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await once(child, "close");
  const found = /Collected : (\d+)/.exec(said)?.[1];
  if (found === undefined) throw new Error(`callgrind counted nothing:\n${said}`);
  return Number(found);
}
