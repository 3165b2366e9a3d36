import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromSource } from "../test/support/from-source.ts";
import { temporaryFolder } from "../test/support/temporary-folder.ts";
import { startProcess, type ServerProcess } from "./server-process.ts";

const run = promisify(execFile);

let folder: ReturnType<typeof temporaryFolder>;
let server: ServerProcess;
beforeAll(async () => {
  folder = temporaryFolder();
  server = await startProcess();
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

/** The Inspector's command line in a home of its own: it keeps a catalogue there. */
async function inspect(
  target: readonly string[],
  ...args: readonly string[]
): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [inspectorPath(), "--cli", ...target, ...args], {
    env: { ...process.env, HOME: folder.path },
    timeout: 50_000,
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

function inspectorPath(): string {
  const manifest = createRequire(import.meta.url).resolve(
    "@modelcontextprotocol/inspector/package.json",
  );
  const { bin } = createRequire(import.meta.url)(manifest) as { bin: Record<string, string> };
  return join(manifest, "..", bin["mcp-inspector"] ?? "");
}

describe.each([
  { transport: "http", target: () => [server.url] },
  {
    transport: "stdio",
    target: () => [
      process.execPath,
      ...fromSource,
      "serve",
      "--stdio",
      "--store",
      join(folder.path, "stdio.db"),
    ],
  },
])("the Inspector over $transport", ({ target }) => {
  test("lists every tool and finds no portability problem in their schemas", async () => {
    const { tools } = await inspect(target(), "--method", "tools/list", "--strict");
    expect((tools as { name: string }[]).map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "create_agent",
        "list_agents",
        "assign_tasks",
        "batch_call",
        "export_tasks",
        "fetch_url",
      ]),
    );
  });

  test("calls tools and sees their effect", async () => {
    await inspect(
      target(),
      "--method",
      "tools/call",
      "--tool-name",
      "create_agent",
      "--tool-arg",
      "name=Ada",
    );
    const listed = await inspect(target(), "--method", "tools/call", "--tool-name", "list_agents");
    expect(listed["structuredContent"]).toMatchObject({ agents: [{ name: "Ada" }] });
  });

  test("lists resources, templates and prompts", async () => {
    expect(await inspect(target(), "--method", "resources/templates/list")).toMatchObject({
      resourceTemplates: [{ name: "swarm" }, { name: "agent" }],
    });
    expect(await inspect(target(), "--method", "prompts/list")).toMatchObject({
      prompts: [{ name: "plan_swarm" }, { name: "review_workload" }],
    });
  });
});
