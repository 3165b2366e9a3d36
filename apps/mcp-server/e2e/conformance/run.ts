// Runs the official conformance suite for the 2025-06-18, 2025-11-25 and 2026-07-28 protocols, all against one URL.
//
// 1. Against the fixture: servers with everything that the suite asks for, behind the product's HTTP layer. Shows that
//    its checks, era routing, sessions, streams, replay and subscriptions conform, whatever a server offers.
// 2. Against the server itself, with every optimisation on: the scenarios that ask for no tool of their own.
//
// Warnings count as failures. --verbose prints what the fixture reports.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startFixture, type Target } from "./fixture-server.ts";
import { count, printReport, type Run } from "./report.ts";
import { extensionScenarios, runSuite, type Revision } from "./suite.ts";
import { judge, type TargetName } from "./verdict.ts";

const revisions: readonly Revision[] = ["2025-06-18", "2025-11-25", "2026-07-28"];
const verbose = process.argv.includes("--verbose");

const extensions = await extensionScenarios();
const runs = [
  ...(await check("fixture", await startFixture(verbose))),
  ...(await check("server", await startProduct())),
];
printReport(runs, extensions);
const failed = count(runs, "failed");
console.log(`\n${count(runs, "passed")} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function check(name: TargetName, target: Target): Promise<Run[]> {
  const results: Run[] = [];
  try {
    for (const revision of revisions) {
      const folder = await mkdtemp(join(tmpdir(), "mcp-accel-conformance-"));
      try {
        const scenarios = await runSuite(target.url, revision, folder);
        const verdicts = scenarios.map((scenario) => judge(name, scenario, extensions));
        results.push({ revision, target: name, verdicts });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    return results;
  } finally {
    await target.close();
  }
}

/** The server with a swarm in its store, so that there is a resource to list and to read. */
async function startProduct(): Promise<Target> {
  const { startServer } = await import("../../test/support/servers.ts");
  const { connectHttp } = await import("../../test/support/clients.ts");
  const server = await startServer();
  const client = await connectHttp("2026", server.url);
  await client.call("create_swarm", { name: "conformance" });
  await client.close();
  return server;
}
