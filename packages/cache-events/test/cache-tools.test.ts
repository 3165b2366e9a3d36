import { describe, expect, test } from "vitest";
import { z } from "zod";
import { EventCache } from "../src/index.ts";
import { cacheTools } from "../src/mcp.ts";
import type { CacheToolsOptions } from "../src/mcp.ts";
import { generations, info, modern, text, textOf, v1, v2 } from "./mcp-support.ts";
import type { Client, Generation, Server } from "./mcp-support.ts";
import { deferred, settle } from "./support.ts";

/** One principal for all servers, as for the processes of one user. */
const everyone = { principal: () => "everyone" };
const readOnly = { annotations: { readOnlyHint: true } };

interface Context {
  readonly signal?: AbortSignal;
  readonly mcpReq?: { readonly signal: AbortSignal; readonly _meta?: object };
  readonly _meta?: object;
}

const signalOf = (context: Context): AbortSignal | undefined =>
  context.signal ?? context.mcpReq?.signal;

describe.each(generations)("a cached server of %s", (_name, generation) => {
  async function connect(
    register: (server: Server) => void,
    cache = new EventCache(),
    options: CacheToolsOptions = {},
  ): Promise<Client> {
    return generation.connect(() => {
      const server = generation.server();
      register(server);
      cacheTools(server, cache, options);
      return server;
    });
  }

  test("a caller that cancels leaves alone: the one that waits for the same run gets its result", async () => {
    const started = deferred<void>();
    const answer = deferred<object>();
    let runs = 0;
    const cache = new EventCache();
    const register = (server: Server): void => {
      server.registerTool("slow", readOnly, async (context: Context) => {
        runs++;
        started.resolve();
        const aborted = new Promise<never>((_, reject) => {
          const fail = (): void => reject(new Error("the first caller went"));
          signalOf(context)?.addEventListener("abort", fail);
        });
        return Promise.race([answer.promise, aborted]);
      });
    };
    const one = await connect(register, cache, everyone);
    const two = await connect(register, cache, everyone);
    const leaving = new AbortController();
    const left = generation.call(one, "slow", leaving.signal);
    await started.promise;
    const waiting = two.callTool({ name: "slow" });
    await settle();
    leaving.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    await settle();
    answer.resolve(text("shared"));
    expect(textOf(await waiting)).toBe("shared");
    expect(runs).toBe(1);
  });

  test("the last caller that cancels ends the run", async () => {
    const started = deferred<void>();
    const ended = deferred<void>();
    const client = await connect((server) => {
      server.registerTool("slow", readOnly, async (context: Context) => {
        signalOf(context)?.addEventListener("abort", () => ended.resolve());
        started.resolve();
        await ended.promise;
        return text("late");
      });
    });
    const leaving = new AbortController();
    const left = generation.call(client, "slow", leaving.signal);
    await started.promise;
    leaving.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    await ended.promise;
  });

  test("what a result repeats of the request's _meta is not replayed to another caller", async () => {
    let runs = 0;
    const client = await connect((server) => {
      server.registerTool("echo", readOnly, (context: Context) =>
        text(++runs, {
          _meta: { ...(context._meta ?? context.mcpReq?._meta), "shop/kept": true },
        }),
      );
    });
    const first = await client.callTool({
      name: "echo",
      _meta: { progressToken: "p1", traceparent: "00-a-b-01", "mine/request": 1 },
    });
    expect(first._meta).toMatchObject({ "mine/request": 1, "shop/kept": true });
    const second = await client.callTool({ name: "echo", _meta: { progressToken: "p2" } });
    expect(textOf(second)).toBe("1");
    expect(second._meta).toHaveProperty(["shop/kept"], true);
    for (const name of ["progressToken", "traceparent", "mine/request"])
      expect(second._meta).not.toHaveProperty([name]);
  });

  test("a tool that was replaced, removed or registered anew does not answer with what another kept", async () => {
    let server: Server | undefined;
    const client = await connect((made) => {
      server = made;
      made.registerTool("fixed", readOnly, () => text("fixed"));
    });
    const first = server!.registerTool("tool", readOnly, () => text("first"));
    const call = async (): Promise<string> => textOf(await client.callTool({ name: "tool" }));
    expect(await call()).toBe("first");
    first.update({ callback: () => text("second") });
    expect(await call()).toBe("second");
    expect(await call()).toBe("second");
    first.remove();
    const gone = await call().catch((error: Error) => error.message);
    expect(gone).toContain("not found");
    server!.registerTool("tool", readOnly, () => text("third"));
    expect(await call()).toBe("third");
  });

  test("a result that the output schema refuses, or that is malformed, is not kept", async () => {
    let broken = true;
    let runs = 0;
    const client = await connect((server) => {
      const outputSchema = z.object({ n: z.number() });
      server.registerTool("typed", { ...readOnly, outputSchema }, () => {
        runs++;
        return text(runs, { structuredContent: broken ? { n: "x" } : { n: runs } });
      });
      server.registerTool("malformed", readOnly, () =>
        broken ? { content: [{ type: "text" }] } : text("mended"),
      );
    });
    const failed = async (name: string): Promise<string> => {
      const result = await client.callTool({ name }).catch((error: Error) => text(error.message));
      return textOf(result);
    };
    expect(await failed("typed")).toContain("Output validation error");
    await failed("malformed");
    broken = false;
    expect(textOf(await client.callTool({ name: "typed" }))).toBe("2");
    expect(textOf(await client.callTool({ name: "typed" }))).toBe("2");
    expect(textOf(await client.callTool({ name: "malformed" }))).toBe("mended");
  });

  test("links, blobs and huge content come back as the tool made them", async () => {
    const blob = "QUJD".repeat(50_000);
    const content = [
      { type: "resource_link", uri: "file:///a", name: "a", mimeType: "text/plain" },
      { type: "resource", resource: { uri: "file:///b", blob, mimeType: "x/y" } },
      { type: "image", data: "QUJD", mimeType: "image/png", annotations: { priority: 1 } },
      ...Array.from({ length: 2_000 }, (_, index) => ({ type: "text", text: `${index}` })),
    ];
    let runs = 0;
    const client = await connect((server) => {
      server.registerTool("huge", readOnly, () => {
        runs++;
        return { content };
      });
    });
    expect((await client.callTool({ name: "huge" })).content).toEqual(content);
    expect((await client.callTool({ name: "huge" })).content).toEqual(content);
    expect(runs).toBe(1);
  });

  test("disposing leaves nothing behind, on the server or beneath it", () => {
    const server = generation.server();
    server.registerTool("read", readOnly, () => text(1));
    const own = (): string[][] => [server, server.server].map((one) => Object.keys(one));
    const before = own();
    const caching = cacheTools(server, new EventCache());
    expect(own()).not.toEqual(before);
    caching[Symbol.dispose]();
    expect(own()).toEqual(before);
  });

  test("a tool that throws is run again, and its error reaches its caller", async () => {
    let runs = 0;
    const client = await connect((server) => {
      server.registerTool("fails", readOnly, () => {
        throw new Error(`failure ${++runs}`);
      });
    });
    expect(await client.callTool({ name: "fails" })).toMatchObject(
      text("failure 1", { isError: true }),
    );
    expect(textOf(await client.callTool({ name: "fails" }))).toBe("failure 2");
  });
});

describe.each([
  ["v1", v1],
  ["v2", v2],
] as const)("a tool of %s that asks its client on the way", (_name, generation: Generation) => {
  async function setup(
    ask: (server: Server, context: never) => Promise<{ content?: unknown }>,
  ): Promise<(answer: string) => Promise<string>> {
    const cache = new EventCache();
    return async (answer) => {
      const client = await generation.connect(
        () => {
          const server = generation.server();
          server.registerTool("ask", readOnly, async (context: never) =>
            text(JSON.stringify((await ask(server, context)).content)),
          );
          cacheTools(server, cache);
          return server;
        },
        { capabilities: { elicitation: {} } },
      );
      const elicitation =
        generation === v1
          ? (await import("@modelcontextprotocol/sdk/types.js")).ElicitRequestSchema
          : "elicitation/create";
      client.setRequestHandler(elicitation as never, () => ({
        action: "accept",
        content: { answer },
      }));
      return textOf(await client.callTool({ name: "ask" }));
    };
  }
  const params = {
    message: "Who?",
    requestedSchema: { type: "object", properties: { answer: { type: "string" } } },
  };

  test("through the server is run for each caller", async () => {
    const call = await setup((server) => server.server.elicitInput(params));
    expect(await call("alice")).toBe('{"answer":"alice"}');
    expect(await call("bob")).toBe('{"answer":"bob"}');
    expect(await Promise.all([call("carol"), call("dave")])).toEqual([
      '{"answer":"carol"}',
      '{"answer":"dave"}',
    ]);
  });

  test("through the context of the call is run for each caller", async () => {
    const { ElicitResultSchema } = await import("@modelcontextprotocol/sdk/types.js");
    const request = { method: "elicitation/create", params: { ...params, mode: "form" } };
    const call = await setup((_server, context: Record<string, unknown>) => {
      type Send = (request: object, schema?: object) => Promise<{ content?: unknown }>;
      if (generation === v1) return (context["sendRequest"] as Send)(request, ElicitResultSchema);
      return (context["mcpReq"] as { send: Send }).send(request);
    });
    expect(await call("alice")).toBe('{"answer":"alice"}');
    expect(await call("bob")).toBe('{"answer":"bob"}');
  });
});

describe.each([
  ["2025-11-25", v2],
  ["2026-07-28", modern],
] as const)("a tool that needs several rounds, on %s", (_name, generation: Generation) => {
  test("is asked again for each caller, and what it concludes is not kept", async () => {
    const { inputRequired, acceptedContent } = await import("@modelcontextprotocol/server");
    const cache = new EventCache();
    const call = async (answer: string): Promise<string> => {
      const client = await generation.connect(
        () => {
          const server = generation.server();
          server.registerTool("ask", readOnly, (context: never) => {
            const { inputResponses } = (context as { mcpReq: { inputResponses?: never } }).mcpReq;
            const accepted = acceptedContent(inputResponses, "who");
            if (accepted !== undefined) return text(JSON.stringify(accepted));
            return inputRequired({
              inputRequests: {
                who: inputRequired.elicit({
                  message: "Who?",
                  requestedSchema: { type: "object", properties: { answer: { type: "string" } } },
                }),
              },
            });
          });
          cacheTools(server, cache);
          return server;
        },
        { capabilities: { elicitation: { form: {} } } },
      );
      client.setRequestHandler("elicitation/create" as never, () => ({
        action: "accept",
        content: { answer },
      }));
      return textOf(await client.callTool({ name: "ask" }));
    };
    expect(await call("alice")).toBe('{"answer":"alice"}');
    expect(await call("bob")).toBe('{"answer":"bob"}');
    expect(cache.stats().entries).toBe(0);
  });
});

test("a tool of v1 that may create a task invalidates, also when the SDK polls the task for a client that wants none", async () => {
  const { InMemoryTaskStore } =
    await import("@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js");
  const taskStore = new InMemoryTaskStore();
  let reads = 0;
  const client = await v1.connect(() => {
    const server = v1.server({
      taskStore,
      capabilities: { tasks: { requests: { tools: { call: {} } } } },
    });
    server.registerTool("read", readOnly, () => text(++reads));
    type Store = {
      createTask(options: object): Promise<{ taskId: string }>;
      storeTaskResult(taskId: string, status: string, result: object): Promise<void>;
      getTask(taskId: string): Promise<object>;
    };
    const { experimental } = server as unknown as {
      experimental: { tasks: { registerToolTask(name: string, tool: object, task: object): void } };
    };
    experimental.tasks.registerToolTask(
      "write",
      { execution: { taskSupport: "optional" } },
      {
        async createTask({ taskStore: store }: { taskStore: Store }) {
          const { taskId } = await store.createTask({ ttl: 60_000, pollInterval: 1 });
          await store.storeTaskResult(taskId, "completed", text("written"));
          return { task: await store.getTask(taskId) };
        },
        getTask: () => ({}),
        getTaskResult: () => ({}),
      },
    );
    cacheTools(server, new EventCache());
    return server;
  });
  expect(textOf(await client.callTool({ name: "read" }))).toBe("1");
  expect(textOf(await client.callTool({ name: "write" }))).toBe("written");
  expect(textOf(await client.callTool({ name: "read" }))).toBe("2");
  taskStore.cleanup();
});

const build =
  (
    name: string,
    version: string,
    answer: string,
    cache: EventCache,
    options: CacheToolsOptions = everyone,
  ) =>
  () => {
    const server = v2.server({}, { name, version });
    server.registerTool("who", readOnly, () => text(answer));
    server.registerTool("write", {}, () => text("written"));
    cacheTools(server, cache, options);
    return server;
  };

async function who(client: Client): Promise<string> {
  return textOf(await client.callTool({ name: "who" }));
}

describe("several servers on one cache", () => {
  test("of different names share nothing, and replicas of one share results and invalidations", async () => {
    const cache = new EventCache();
    const one = await v2.connect(build("one", "1", "one", cache));
    const replica = await v2.connect(build("one", "1", "replica", cache));
    const other = await v2.connect(build("other", "1", "other", cache));
    expect([await who(one), await who(replica), await who(other)]).toEqual(["one", "one", "other"]);
    await other.callTool({ name: "write" });
    expect(await who(replica)).toBe("one");
    await one.callTool({ name: "write" });
    expect(await who(replica)).toBe("replica");
  });

  test("without HTTP share nothing unless told for whom they are: each may be somebody else's", async () => {
    const cache = new EventCache();
    const alice = await v2.connect(build("one", "1", "for alice", cache, {}));
    const bob = await v2.connect(build("one", "1", "for bob", cache, {}));
    expect([await who(alice), await who(bob)]).toEqual(["for alice", "for bob"]);
    await alice.callTool({ name: "write" });
    await who(bob);
    expect(cache.stats().loads).toBe(3);
  });

  test("of different versions share invalidations but no results", async () => {
    const cache = new EventCache();
    const old = await v2.connect(build("one", "1", "old", cache));
    const young = await v2.connect(build("one", "2", "young", cache));
    expect(textOf(await old.callTool({ name: "who" }))).toBe("old");
    expect(textOf(await young.callTool({ name: "who" }))).toBe("young");
    await old.callTool({ name: "write" });
    await young.callTool({ name: "who" });
    expect(cache.stats().loads).toBe(3);
  });

  test("a server is not cached twice by one cache, which would wait for itself", () => {
    const cache = new EventCache();
    const server = v2.server({}, info);
    server.registerTool("who", readOnly, () => text(1));
    const caching = cacheTools(server, cache);
    expect(() => cacheTools(server, cache)).toThrow(
      expect.objectContaining({ code: "CACHE_OPTION", option: "server" }),
    );
    caching[Symbol.dispose]();
    expect(() => cacheTools(server, cache)).not.toThrow();
  });
});

const withPrincipal = async (
  principal: (context: unknown) => never,
): Promise<() => Promise<string>> => {
  let runs = 0;
  const client = await v2.connect(() => {
    const server = v2.server();
    server.registerTool("who", readOnly, () => text(++runs));
    cacheTools(server, new EventCache(), { principal });
    return server;
  });
  return async () => textOf(await client.callTool({ name: "who" }));
};

describe("the principal of cacheTools", () => {
  test("may be told later", async () => {
    let name = "alice";
    const askedBy = await withPrincipal((() => Promise.resolve(name)) as never);
    expect(await askedBy()).toBe("1");
    name = "bob";
    expect(await askedBy()).toBe("2");
    expect(await askedBy()).toBe("2");
  });

  test("that is not a string is refused, not shared", async () => {
    const askedBy = await withPrincipal((() => ({ id: 7 })) as never);
    expect(await askedBy()).toContain("principal: expected a string");
  });
});
