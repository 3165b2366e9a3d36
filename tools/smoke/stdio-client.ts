// The official client against the installed bin over stdio: initialize, list the
// tools, create an agent, find it again. It runs inside the empty project.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [store] = process.argv.slice(2) as [string];
const transport = new StdioClientTransport({
  command: "npx",
  args: ["--no-install", "mcp-accel", "serve", "--stdio", "--store", store],
  env: process.env as Record<string, string>,
  stderr: "pipe",
});
const client = new Client({ name: "smoke", version: "0.0.0" });
const log: string[] = [];
transport.stderr?.on("data", (chunk: Buffer) => log.push(chunk.toString()));

try {
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert.ok(tools.length > 0, "tools/list is empty");

  const { agent } = await call<{ agent: { id: string } }>("create_agent", { name: "smoke" });
  const { agents } = await call<{ agents: { id: string }[] }>("list_agents", {});
  assert.ok(
    agents.some(({ id }) => id === agent.id),
    `list_agents does not know the created agent ${agent.id}`,
  );

  const { name, version } = client.getServerVersion()!;
  console.log(`${name} ${version} over stdio (Node ${process.version}): ${tools.length} tools`);
} catch (error) {
  console.error(`the server wrote on stderr:\n${log.join("")}`);
  throw error;
} finally {
  await client.close();
}

async function call<Result>(name: string, args: Record<string, unknown>): Promise<Result> {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(result.isError !== true, `${name} failed: ${JSON.stringify(result.content)}`);
  return result.structuredContent as Result;
}
