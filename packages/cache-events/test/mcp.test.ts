import { InMemoryTransport as TransportV2, Client as ClientV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport as TransportV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { EventCache } from "../src/index.ts";
import type { CacheToolsOptions } from "../src/mcp.ts";
import { cacheTools } from "../src/mcp.ts";

interface Tool {
  readonly annotations?: { readonly readOnlyHint?: boolean };
  readonly inputSchema?: object;
  readonly outputSchema?: object;
}

type Handler = (first: unknown, second: unknown) => unknown;

interface Registered {
  update(changes: { callback?: Handler; name?: string }): void;
  disable(): void;
}

interface Server {
  registerTool(name: string, tool: Tool, handler: Handler): Registered;
  connect(transport: unknown): Promise<void>;
}

interface Client {
  connect(transport: unknown): Promise<void>;
  callTool(call: { name: string; arguments?: object }): Promise<unknown>;
}

interface Generation {
  server(): Server;
  client(): Client;
  link(): readonly [unknown, unknown];
}

const info = { name: "tested", version: "1" };
const generations: readonly (readonly [string, Generation])[] = [
  [
    "v1",
    {
      server: () => new ServerV1(info) as unknown as Server,
      client: () => new ClientV1(info) as unknown as Client,
      link: () => TransportV1.createLinkedPair(),
    },
  ],
  [
    "v2",
    {
      server: () => new ServerV2(info) as unknown as Server,
      client: () => new ClientV2(info) as unknown as Client,
      link: () => TransportV2.createLinkedPair(),
    },
  ],
];

function registerOn(server: Server): {
  readonly runs: Record<string, number>;
  readonly read: Registered;
} {
  const runs: Record<string, number> = {};
  const count = (name: string) => () => {
    runs[name] = (runs[name] ?? 0) + 1;
    return { content: [{ type: "text", text: `${name} ${runs[name]}` }] };
  };
  const readOnly = { annotations: { readOnlyHint: true } };
  const read = server.registerTool(
    "read",
    { ...readOnly, inputSchema: z.object({ id: z.number().default(0) }) },
    count("read"),
  );
  server.registerTool("list", readOnly, count("list"));
  server.registerTool("write", {}, count("write"));
  return { runs, read };
}

describe.each(generations)("cacheTools on an McpServer of %s", (_name, generation) => {
  async function connect(
    server: Server,
  ): Promise<(name: string, args?: object) => Promise<string>> {
    const client = generation.client();
    const [ours, theirs] = generation.link();
    await Promise.all([server.connect(ours), client.connect(theirs)]);
    return async (name, args) => {
      const call = args === undefined ? { name } : { name, arguments: args };
      const { content } = (await client.callTool(call)) as { content: { text: string }[] };
      return content[0]?.text ?? "";
    };
  }

  async function setup(options?: CacheToolsOptions): Promise<{
    readonly cache: EventCache;
    readonly server: Server;
    readonly handle: Disposable;
    readonly runs: Record<string, number>;
    readonly read: Registered;
    readonly call: (name: string, args?: object) => Promise<string>;
  }> {
    const cache = new EventCache();
    const server = generation.server();
    const registered = registerOn(server);
    const handle = cacheTools(server, cache, options);
    return { cache, server, handle, ...registered, call: await connect(server) };
  }

  test("tools annotated read-only are cached by their validated arguments, others are not", async () => {
    const { call, cache } = await setup();
    expect(await call("read", { id: 0 })).toBe("read 1");
    expect(await call("read", {})).toBe("read 1");
    expect(await call("read", { id: 1 })).toBe("read 2");
    expect(await call("list")).toBe("list 1");
    expect(await call("list")).toBe("list 1");
    expect(cache.stats().byNamespace["mcp:tested"]).toMatchObject({ hits: 2, entries: 3 });
    expect(await call("write")).toBe("write 1");
    expect(await call("write")).toBe("write 2");
    expect(await call("read", { id: 0 })).toBe("read 3");
  });

  test("the policy goes before the annotation", async () => {
    const { call } = await setup({
      server: "mine",
      tools: { list: { readOnly: false, invalidates: [] }, write: { readOnly: true } },
    });
    expect(await call("write")).toBe("write 1");
    expect(await call("list")).toBe("list 1");
    expect(await call("list")).toBe("list 2");
    expect(await call("write")).toBe("write 1");
  });

  test("tools registered, replaced or renamed later are covered", async () => {
    const { call, server, read } = await setup();
    server.registerTool("later", { annotations: { readOnlyHint: true } }, () => ({
      content: [{ type: "text", text: String(Math.random()) }],
    }));
    expect(await call("later")).toBe(await call("later"));
    await call("read", { id: 1 });
    read.update({ callback: () => ({ content: [{ type: "text", text: "replaced" }] }) });
    expect(await call("read", { id: 1 })).toBe("replaced");
    read.update({ name: "renamed" });
    expect(await call("renamed", { id: 1 })).toBe("replaced");
  });

  test("a hit is validated against the output schema like any result, and the SDK may add to it", async () => {
    const { call, server } = await setup();
    let runs = 0;
    const tool = {
      annotations: { readOnlyHint: true },
      outputSchema: z.object({ n: z.number() }),
    };
    server.registerTool("typed", tool, () => ({
      content: [{ type: "text", text: `typed ${++runs}` }],
      structuredContent: { n: 1 },
    }));
    expect(await call("typed")).toBe("typed 1");
    expect(await call("typed")).toBe("typed 1");
  });

  test("results that report errors are not cached, and a disabled tool does not answer from the cache", async () => {
    const { call, server, read } = await setup();
    let runs = 0;
    server.registerTool("fails", { annotations: { readOnlyHint: true } }, () => {
      throw new Error(`failure ${++runs}`);
    });
    expect(await call("fails")).toBe("failure 1");
    expect(await call("fails")).toBe("failure 2");
    expect(await call("read", { id: 1 })).toBe("read 1");
    read.disable();
    const refused = await call("read", { id: 1 }).catch((error: Error) => error.message);
    expect(refused).toContain("disabled");
  });

  test("principals are kept apart, and an unknown one gets only what is public", async () => {
    let principal: string | undefined = "alice";
    const { call, runs } = await setup({
      principal: () => principal,
      tools: { list: { public: true } },
    });
    expect(await call("read", { id: 1 })).toBe("read 1");
    expect(await call("list")).toBe("list 1");
    principal = "bob";
    expect(await call("read", { id: 1 })).toBe("read 2");
    expect(await call("list")).toBe("list 1");
    principal = undefined;
    expect(await call("read", { id: 1 })).toBe("read 3");
    expect(await call("read", { id: 1 })).toBe("read 4");
    expect(await call("list")).toBe("list 1");
    expect(runs["list"]).toBe(1);
  });

  test("disposing restores the server exactly, and under another wrapper it steps aside", async () => {
    const { call, server, handle } = await setup();
    expect(Object.hasOwn(server, "executeToolHandler")).toBe(true);
    await call("list");
    handle[Symbol.dispose]();
    handle[Symbol.dispose]();
    expect(Object.hasOwn(server, "executeToolHandler")).toBe(false);
    expect(await call("list")).toBe("list 2");

    const inner = cacheTools(server, new EventCache());
    const own = Object.getOwnPropertyDescriptor(server, "executeToolHandler");
    const outer = cacheTools(server, new EventCache());
    outer[Symbol.dispose]();
    expect(Object.getOwnPropertyDescriptor(server, "executeToolHandler")).toEqual(own);
    const over = cacheTools(server, new EventCache());
    inner[Symbol.dispose]();
    expect(await call("list")).toBe("list 3");
    expect(await call("list")).toBe("list 3");
    over[Symbol.dispose]();
    expect(await call("list")).toBe("list 4");
  });
});

type Run = (
  tool: object,
  args: unknown,
  context: unknown,
) => Promise<{ content: { text: string }[] }>;

function bareServer(tools: Record<string, object>): { server: { executeToolHandler: Run } } {
  let runs = 0;
  const server = {
    _registeredTools: tools,
    executeToolHandler: async () => ({ content: [{ type: "text", text: String(++runs) }] }),
  };
  return { server };
}

describe("cacheTools on the context of a call", () => {
  test("a request that answers a question of the tool is not served from the cache", async () => {
    const tool = { annotations: { readOnlyHint: true } };
    const { server } = bareServer({ ask: tool });
    cacheTools(server, new EventCache());
    const run = async (mcpReq: object): Promise<unknown> =>
      Number((await server.executeToolHandler(tool, {}, { mcpReq })).content[0]?.text);
    expect(await run({})).toBe(1);
    expect(await run({ requestState: () => undefined })).toBe(1);
    expect(await run({ inputResponses: {} })).toBe(2);
    expect(await run({ requestState: () => "state" })).toBe(3);
    expect(await run({})).toBe(1);
  });

  test("a tool that creates tasks is not cached but invalidates, and a tool that is not registered is not cached", async () => {
    const read = { annotations: { readOnlyHint: true } };
    const readTask = { ...read, handler: { createTask() {} } };
    const writeTask = { handler: { createTask() {} } };
    const { server } = bareServer({ read, readTask, writeTask });
    cacheTools(server, new EventCache());
    const run = async (tool: object): Promise<unknown> =>
      Number((await server.executeToolHandler(tool, {}, {})).content[0]?.text);
    expect([await run(read), await run(read)]).toEqual([1, 1]);
    expect([await run(readTask), await run(readTask)]).toEqual([2, 3]);
    expect([await run({ ...read }), await run({ ...read })]).toEqual([4, 5]);
    expect(await run(read)).toBe(1);
    await run(writeTask);
    expect(await run(read)).toBe(7);
  });

  test("the signal of the request, of either generation, ends the wait", async () => {
    const tool = { annotations: { readOnlyHint: true } };
    for (const context of [
      { signal: AbortSignal.abort(new Error("gone")) },
      { mcpReq: { signal: AbortSignal.abort(new Error("gone")) } },
    ]) {
      const { server } = bareServer({ tool });
      cacheTools(server, new EventCache());
      await expect(server.executeToolHandler(tool, {}, context)).rejects.toThrow("gone");
    }
  });

  test("what is no McpServer is refused", () => {
    expect(() => cacheTools({}, new EventCache())).toThrow(
      expect.objectContaining({ code: "CACHE_OPTION", option: "server" }),
    );
  });
});
