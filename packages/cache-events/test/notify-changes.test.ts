import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import {
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  SubscribeRequestSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { createMcpHandler } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { describe, expect, test, vi } from "vitest";
import { EventCache } from "../src/index.ts";
import { cacheResults, cacheTools, notifyChanges } from "../src/mcp.ts";
import type { NotifyChangesOptions } from "../src/mcp.ts";
import { generations, info, modern, text, v1, v2 } from "./mcp-support.ts";
import type { Client as AnyClient, Generation, Server } from "./mcp-support.ts";
import { deferred, ManualTimers, settle } from "./support.ts";

const notify: NotifyChangesOptions["notify"] = {
  agents: { resources: ["swarm://agents", "swarm://all"], lists: ["resources"] },
  tasks: { resources: ["swarm://tasks"] },
  catalog: { lists: ["tools", "prompts"] },
};

interface Note {
  readonly method: string;
  readonly params?: { readonly uri?: string };
}

const schemas = {
  "notifications/tools/list_changed": ToolListChangedNotificationSchema,
  "notifications/prompts/list_changed": PromptListChangedNotificationSchema,
  "notifications/resources/list_changed": ResourceListChangedNotificationSchema,
  "notifications/resources/updated": ResourceUpdatedNotificationSchema,
};

/** What the client hears, in short: `tools`, or the URI of a resource. */
function hear(generation: Generation, client: AnyClient): string[] {
  const heard: string[] = [];
  for (const [method, schema] of Object.entries(schemas)) {
    client.setNotificationHandler((generation === v1 ? schema : method) as never, (note: Note) => {
      heard.push(note.params?.uri ?? note.method.split("/")[1] ?? "");
    });
  }
  return heard;
}

function build(generation: Generation): Server {
  const server = generation.server({ capabilities: { resources: { subscribe: true } } });
  server.registerTool("add_agent", {}, () => text("added"));
  server.registerPrompt("greet", {}, () => ({ messages: [] }));
  for (const name of ["agents", "tasks", "all"])
    server.registerResource(name, `swarm://${name}`, {}, () => ({ contents: [] }));
  return server;
}

const ignore = (): void => {};

function into(errors: unknown[]): (error: unknown) => void {
  return (error) => errors.push(error);
}

async function subscribe(
  generation: Generation,
  client: AnyClient,
  ...uris: readonly string[]
): Promise<void> {
  if (generation === modern) {
    await (client as unknown as Client).listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: [...uris],
    });
  } else for (const uri of uris) await client.subscribeResource({ uri });
}

describe.each(generations)("invalidations as notifications of %s", (_name, generation) => {
  async function setup(options: Partial<NotifyChangesOptions> = {}): Promise<{
    readonly cache: EventCache;
    readonly server: Server;
    readonly client: AnyClient;
    readonly heard: string[];
    readonly timers: ManualTimers;
    readonly errors: unknown[];
    readonly handle: Disposable;
    /** Lets what waits be sent and arrive. */
    readonly arrive: () => Promise<void>;
  }> {
    const cache = new EventCache();
    const timers = new ManualTimers();
    const errors: unknown[] = [];
    let made: { server: Server; handle: Disposable } | undefined;
    const client = await generation.connect(() => {
      const server = build(generation);
      const given = { notify, timers, onError: into(errors), ...options };
      made = { server, handle: notifyChanges(server, cache, given) };
      return server;
    });
    const heard = hear(generation, client);
    const arrive = async (): Promise<void> => {
      timers.fire(options.delayMs ?? 0);
      await settle();
    };
    return { cache, client, heard, timers, errors, arrive, ...made! };
  }

  test("reach the clients that subscribed, each thing once a tick", async () => {
    const { cache, client, heard, arrive, errors } = await setup();
    await subscribe(generation, client, "swarm://agents", "swarm://tasks");
    await cache.invalidateByTags(["agents", "other"]);
    await cache.invalidateByTags(["agents", "catalog"]);
    expect(heard).toEqual([]);
    await arrive();
    expect(heard.toSorted()).toEqual(["prompts", "resources", "swarm://agents", "tools"]);
    await arrive();
    expect(heard).toHaveLength(4);
    await cache.invalidateByTags(["tasks"]);
    await arrive();
    expect(heard.at(-1)).toBe("swarm://tasks");
    expect(errors).toEqual([]);
  });

  test("tell of everything when everything was invalidated, and nothing of a single key", async () => {
    const { cache, client, heard, arrive } = await setup();
    await subscribe(generation, client, "swarm://all", "swarm://tasks");
    await cache.delete("key");
    await arrive();
    expect(heard).toEqual([]);
    await cache.clear();
    await arrive();
    expect(heard.toSorted()).toEqual([
      "prompts",
      "resources",
      "swarm://all",
      "swarm://tasks",
      "tools",
    ]);
  });

  test("come from the events of the bus and the tools of the server, too", async () => {
    const { cache, client, server, heard, arrive } = await setup();
    cacheTools(server, cache, { tools: { add_agent: { invalidates: ["agents"] } } });
    await subscribe(generation, client, "swarm://agents");
    await client.callTool({ name: "add_agent" });
    await arrive();
    expect(heard.toSorted()).toEqual(["resources", "swarm://agents"]);
  });

  test("may be mapped by a function, whose errors are reported and stop nothing", async () => {
    const { cache, client, heard, errors, arrive } = await setup({
      notify: (tag) => {
        if (tag === "broken") throw new Error("no such tag");
        if (tag === "odd") return { lists: ["hats" as never] };
        return tag === undefined ? undefined : { resources: [`swarm://${tag}`] };
      },
    });
    await subscribe(generation, client, "swarm://agents");
    await cache.invalidateByTags(["broken"]);
    await cache.invalidateByTags(["odd"]);
    await cache.clear();
    await cache.invalidateByTags(["agents"]);
    await arrive();
    expect(heard).toEqual(["swarm://agents"]);
    expect(errors).toMatchObject([{ message: "no such tag" }, { code: "CACHE_OPTION" }]);
  });

  test("wait for delayMs, and end with disposal", async () => {
    const { cache, client, heard, arrive, timers, handle } = await setup({ delayMs: 250 });
    await subscribe(generation, client, "swarm://agents");
    await cache.invalidateByTags(["agents"]);
    expect(timers.delaysMs).toContain(250);
    handle[Symbol.dispose]();
    await arrive();
    await cache.invalidateByTags(["agents"]);
    await arrive();
    expect(heard).toEqual([]);
    expect(cache.listenerCount("invalidate")).toBe(0);
  });

  test("go nowhere while nobody is connected", async () => {
    const { cache, client, server, errors, arrive, heard } = await setup();
    await client.close();
    await server.close();
    await cache.clear();
    await arrive();
    expect([errors, heard]).toEqual([[], []]);
  });

  test("do not go round in circles with cached results", async () => {
    const { cache, client, server, heard, arrive, timers } = await setup({
      notify: () => ({ lists: ["tools"], resources: ["swarm://agents"] }),
    });
    cacheResults(server, cache, { results: { "tools/list": {}, "resources/read": {} } });
    await subscribe(generation, client, "swarm://agents");
    await client.listTools();
    await cache.invalidateByTags(["agents"]);
    for (let round = 0; round < 5; round++) await arrive();
    expect(heard.toSorted()).toEqual(["swarm://agents", "tools"]);
    expect(timers.delaysMs).not.toContain(0);
  });
});

describe.each([
  ["v1", v1],
  ["v2", v2],
] as const)("subscriptions before 2026-07-28, in %s", (_name, generation: Generation) => {
  test("end when the client unsubscribes or the connection ends", async () => {
    const cache = new EventCache();
    const timers = new ManualTimers();
    const server = build(generation);
    notifyChanges(server, cache, { notify, timers });
    const client = await generation.connect(() => server);
    const heard = hear(generation, client);
    await client.subscribeResource({ uri: "swarm://tasks" });
    await client.unsubscribeResource({ uri: "swarm://tasks" });
    await cache.invalidateByTags(["tasks"]);
    expect(timers.delaysMs).toEqual([]);
    await client.subscribeResource({ uri: "swarm://tasks" });
    await client.close();
    await server.close();
    const next = await generation.connect(() => server);
    const heardNext = hear(generation, next);
    await cache.invalidateByTags(["tasks"]);
    timers.fire(0);
    await settle();
    expect([heard, heardNext]).toEqual([[], []]);
  });

  test("are limited", async () => {
    const server = build(generation);
    notifyChanges(server, new EventCache(), { notify, maxSubscriptions: 2 });
    const client = await generation.connect(() => server);
    const subscribeTo = (uri: string): Promise<unknown> => client.subscribeResource({ uri });
    await subscribeTo("swarm://1");
    await subscribeTo("swarm://2");
    await subscribeTo("swarm://2");
    await expect(subscribeTo("swarm://3")).rejects.toThrow("2 subscriptions");
    await client.unsubscribeResource({ uri: "swarm://1" });
    await subscribeTo("swarm://3");
    await expect(subscribeTo(`swarm://${"x".repeat(9_000)}`)).rejects.toThrow("8192 characters");
  });

  test("that the server handles itself still reach it, and those it refuses do not count", async () => {
    const cache = new EventCache();
    const timers = new ManualTimers();
    const server = build(generation);
    const asked: string[] = [];
    const method = generation === v1 ? SubscribeRequestSchema : "resources/subscribe";
    server.server.setRequestHandler(method, ({ params }: { params: { uri: string } }) => {
      asked.push(params.uri);
      if (params.uri === "swarm://agents") throw new Error("not yours");
      return {};
    });
    notifyChanges(server, cache, { notify, timers });
    const client = await generation.connect(() => server);
    const heard = hear(generation, client);
    await client.subscribeResource({ uri: "swarm://tasks" });
    await expect(client.subscribeResource({ uri: "swarm://agents" })).rejects.toThrow("not yours");
    await cache.invalidateByTags(["agents", "tasks"]);
    timers.fire(0);
    await settle();
    expect(asked).toEqual(["swarm://tasks", "swarm://agents"]);
    expect(heard.toSorted()).toEqual(["resources", "swarm://tasks"]);
  });
});

describe("the sending of notifications", () => {
  interface Target {
    readonly toolsChanged: () => unknown;
    readonly promptsChanged: () => unknown;
    readonly resourcesChanged: () => unknown;
    readonly resourceUpdated: (uri: string) => unknown;
  }

  function setup(
    changes: Partial<Target>,
    options: Partial<NotifyChangesOptions> = {},
  ): { cache: EventCache; timers: ManualTimers; errors: unknown[] } {
    const cache = new EventCache();
    const timers = new ManualTimers();
    const errors: unknown[] = [];
    const target: Target = {
      toolsChanged: ignore,
      promptsChanged: ignore,
      resourcesChanged: ignore,
      resourceUpdated: ignore,
      ...changes,
    };
    notifyChanges(target, cache, { notify, timers, onError: into(errors), ...options });
    return { cache, timers, errors };
  }

  test("one that fails is reported and does not keep the others back", async () => {
    const told: string[] = [];
    const { cache, timers, errors } = setup({
      toolsChanged() {
        throw new Error("cut off");
      },
      promptsChanged: () => told.push("prompts"),
    });
    await cache.invalidateByTags(["catalog"]);
    timers.fire(0);
    await settle();
    expect(told).toEqual(["prompts"]);
    expect(errors).toMatchObject([{ code: "CACHE_NOTIFY", cause: { message: "cut off" } }]);
  });

  test("one batch is under way at a time, what changes meanwhile waits once, and none for ever", async () => {
    const first = deferred<void>();
    let batches = 0;
    const { cache, timers, errors } = setup({
      toolsChanged: () => (++batches === 1 ? first.promise : 0),
    });
    await cache.invalidateByTags(["catalog"]);
    timers.fire(0);
    for (let change = 0; change < 5; change++) await cache.invalidateByTags(["catalog"]);
    await settle();
    expect([batches, timers.delaysMs.includes(0)]).toEqual([1, false]);
    timers.fire(30_000);
    await settle();
    expect(errors).toMatchObject([{ code: "CACHE_NOTIFY" }]);
    timers.fire(0);
    await settle();
    expect(batches).toBe(2);
  });

  test("more changes than may wait are told as one change of the list", async () => {
    const told: string[] = [];
    const { cache, timers, errors } = setup(
      { resourceUpdated: (uri) => told.push(uri), resourcesChanged: () => told.push("list") },
      { maxSubscriptions: 2, notify: (tag) => ({ resources: [`swarm://${tag}`] }) },
    );
    await cache.invalidateByTags(["1", "2", "3", "4"]);
    timers.fire(0);
    await settle();
    expect(told).toEqual(["list", "swarm://1", "swarm://2"]);
    expect(errors).toMatchObject([{ code: "CACHE_NOTIFY" }]);
  });

  test("an onError that throws becomes a process warning", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { cache, timers } = setup(
      { toolsChanged: () => Promise.reject(new Error("cut off")) },
      {
        onError: () => {
          throw new Error("worse");
        },
      },
    );
    await cache.invalidateByTags(["catalog"]);
    timers.fire(0);
    await settle();
    expect(warn).toHaveBeenCalledWith("worse", expect.objectContaining({ code: "CACHE_MCP" }));
    warn.mockRestore();
  });

  test("through the handler of version 2 they reach those that listen over HTTP", async () => {
    const cache = new EventCache();
    const timers = new ManualTimers();
    const handler = createMcpHandler(() => build(modern) as unknown as McpServer);
    notifyChanges(handler, cache, { notify, timers });
    const client = new Client(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    const heard = hear(modern, client as unknown as AnyClient);
    const transport = new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), {
      fetch: (input, init) => handler.fetch(new Request(input, init)),
    });
    await client.connect(transport);
    await subscribe(modern, client as unknown as AnyClient, "swarm://agents");
    await cache.invalidateByTags(["agents", "tasks", "catalog"]);
    timers.fire(0);
    await vi.waitFor(() => expect(heard).toHaveLength(4));
    expect(heard.toSorted()).toEqual(["prompts", "resources", "swarm://agents", "tools"]);
    await client.close();
    await handler.close();
  });
});

test.each([
  ["target", {}, new EventCache(), { notify }],
  ["cache", v2.server(), {}, { notify }],
  ["notify", v2.server(), new EventCache(), {}],
  [
    "notify.agents.resource",
    v2.server(),
    new EventCache(),
    { notify: { agents: { resource: [] } } },
  ],
  [
    "notify.agents.resources",
    v2.server(),
    new EventCache(),
    { notify: { agents: { resources: "x" } } },
  ],
  ["notify.agents.lists", v2.server(), new EventCache(), { notify: { agents: { lists: ["x"] } } }],
  ["delayMs", v2.server(), new EventCache(), { notify, delayMs: -1 }],
])("a wrong %s is refused", (option, target, cache, options) => {
  expect(() => notifyChanges(target, cache as never, options as never)).toThrow(
    expect.objectContaining({ code: "CACHE_OPTION", option }),
  );
});
