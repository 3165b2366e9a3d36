import { InMemoryEventStore } from "@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { SessionMap } from "@mcp-accel/stream-guard/mcp";
import type { EventStoreOptions } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { FILL, KIB, log, sdkOf } from "./mcp-clients.ts";
import { INITIALIZE, Site, until } from "./mcp-http.ts";

const LIMIT = 1024 * KIB;
const AT_ONCE = {
  initialReconnectionDelay: 1,
  maxReconnectionDelay: 1,
  reconnectionDelayGrowFactor: 1,
  maxRetries: 2,
};

/** How a tool of either SDK logs to its own caller. */
function notifier(extra: unknown): (data: string) => Promise<void> {
  type Notify = (notification: object) => Promise<void>;
  const { sendNotification, mcpReq } = extra as {
    sendNotification?: Notify;
    mcpReq?: { notify: Notify };
  };
  const notify = sendNotification ?? mcpReq?.notify;
  return async (data) => {
    await notify?.({ method: "notifications/message", params: { level: "info", data } });
  };
}

describe.each(["v1", "v2"] as const)("resuming a stream with SDK %s", (version) => {
  const sdk = sdkOf(version);
  type Transport = ReturnType<typeof sdk.transport>;

  async function served(
    events: EventStoreOptions,
    options: StreamGuardOptions = {},
    rival?: InMemoryEventStore,
  ) {
    const time = new FakeTime();
    const { now, schedule } = time;
    const guard = new StreamGuard({ now, schedule, sessionMaxMemoryBytes: LIMIT, ...options });
    const servers: ReturnType<typeof sdk.server>[] = [];
    const cut = Promise.withResolvers<void>();
    const sessions = new SessionMap<Transport>(guard, {
      transport: (given) =>
        sdk.transport(rival === undefined ? given : { ...given, eventStore: rival }),
      connect: async (transport) => {
        const server = sdk.server();
        server.registerTool(
          "report",
          { inputSchema: z.object({ lines: z.number() }) },
          async ({ lines }, extra) => {
            const notify = notifier(extra);
            await notify("begun");
            await cut.promise;
            for (let line = 0; line < lines; line += 1) await notify(`line ${line}`);
            return { content: [{ type: "text", text: "done" }] };
          },
        );
        servers.push(server);
        await server.connect(transport);
      },
      events: { now, ...events },
    });
    const statuses: number[] = [];
    const site = await Site.listen(async (request, response) => {
      if (request.headers["last-event-id"] !== undefined)
        response.once("finish", () => statuses.push(response.statusCode));
      await sessions.handleRequest(request, response);
    });
    const close = async (): Promise<void> => {
      await sessions.close();
      await site[Symbol.asyncDispose]();
    };
    return { guard, time, servers, sessions, site, cut, statuses, [Symbol.asyncDispose]: close };
  }

  /** A client calls `report`, is cut off after its first line, and the tool goes on meanwhile. */
  async function reported(world: Awaited<ReturnType<typeof served>>, lines: number) {
    const { site, cut } = world;
    const seen: unknown[] = [];
    const errors: string[] = [];
    const client = sdk.client();
    client.onerror = (error) => errors.push(error.message);
    client.fallbackNotificationHandler = async ({ params }) => {
      seen.push(params?.["data"]);
    };
    await client.connect(sdk.connection(site.url, { reconnectionOptions: AT_ONCE }));
    await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
    const answer = client.callTool({ name: "report", arguments: { lines } });
    const outcome = answer.catch((error: unknown) => error);
    await until(() => seen.length === 1);
    site.lastResponse?.destroy();
    await until(() => site.lastResponse?.destroyed === true);
    cut.resolve();
    return { client, seen, errors, outcome };
  }

  test("a client that was cut off gets what it missed, and its answer", async () => {
    await using world = await served({});
    const { client, seen, outcome } = await reported(world, 5);
    expect(await outcome).toMatchObject({ content: [{ type: "text", text: "done" }] });
    const lines = [0, 1, 2, 3, 4].map((line) => `line ${line}`);
    expect(seen).toEqual(["begun", ...lines]);
    await client.close();
  });

  test("a client that missed what is no longer kept is refused with 400 and gives up", async () => {
    await using world = await served({ maxEvents: 3 });
    const { client, errors, outcome } = await reported(world, 50);
    await until(() => errors.some((error) => error.includes("Maximum reconnection attempts")));
    expect(errors.join()).toContain("Bad Request");
    await client.close();
    expect(await outcome).toBeInstanceOf(Error);
  });

  test("with onGap skip it gets what is kept, the answer among it", async () => {
    await using world = await served({ maxEvents: 3, onGap: "skip" });
    const { client, seen, outcome } = await reported(world, 50);
    expect(await outcome).toMatchObject({ content: [{ type: "text", text: "done" }] });
    expect(seen.length).toBeLessThan(51);
    expect(seen.at(-1)).toBe("line 49");
    await client.close();
  });

  async function standalone(world: Awaited<ReturnType<typeof served>>) {
    const { site, servers } = world;
    const response = await site.post(INITIALIZE);
    await response.text();
    const session = response.headers.get("mcp-session-id") ?? "";
    const headers = { "mcp-session-id": session, accept: "text/event-stream" };
    await log(servers[0], "first");
    const listen = (lastEventId?: string) =>
      fetch(site.url, {
        headers: lastEventId === undefined ? headers : { ...headers, "last-event-id": lastEventId },
      });
    return { headers, listen };
  }

  test("400 notifications to a stream nobody has open are kept as far as the history goes, and replayed from there", async () => {
    await using world = await served({});
    const { guard, servers } = world;
    const { listen } = await standalone(world);
    for (let count = 0; count < 400; count += 1) await log(servers[0], `${count} ${FILL}`);
    expect(guard.stats().usedBytes).toBeLessThanOrEqual(LIMIT / 2);
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
    expect((await listen("_GET_stream_300")).status).toBe(400);
    const stream = await listen("_GET_stream_395");
    expect(stream.status).toBe(200);
    let text = "";
    for await (const chunk of stream.body ?? []) {
      text += new TextDecoder().decode(chunk as Uint8Array);
      if (text.includes('"399 ') && text.endsWith("\n\n")) break;
    }
    const marks = [...text.matchAll(/"(\d{3}) x/g)].map(([, mark]) => mark);
    expect(marks).toEqual(["394", "395", "396", "397", "398", "399"]);
  });

  test("a store that does not know its streams, as the SDK's example, leaves a client with an unknown event id on a silent stream", async () => {
    await using world = await served({}, {}, new InMemoryEventStore());
    const { listen } = await standalone(world);
    expect((await listen("unknown")).status).toBe(200);
    expect((await listen()).status).toBe(200);
  });

  test("what is replayed to a client that does not read is charged to its session, and then it stalls", async () => {
    await using world = await served({}, { stallTimeoutMs: 5000 });
    const { guard, time, servers, site } = world;
    const { headers } = await standalone(world);
    for (let count = 0; count < 20; count += 1) await log(servers[0], FILL);
    const kept = guard.stats().usedBytes;
    await site.sendAndNeverRead("GET", { ...headers, "last-event-id": "_GET_stream_14" });
    await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
    await settle();
    expect(guard.stats().peakBytes).toBeGreaterThan(kept + 6 * 64 * KIB);
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
    const flood = (async () => {
      for (let count = 0; count < 4000; count += 1) await log(servers[0], FILL);
    })().catch((error: unknown) => error);
    await until(() => guard.stats().waiting === 1);
    for (let look = 0; look < 12; look += 1) time.advance(1000);
    expect(await flood).toBeInstanceOf(Error);
    await until(() => guard.stats().sessions === 0);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { stalled: 1 } });
  });

  test("a second stream is refused while one is open, and takes over when it is gone", async () => {
    await using world = await served({});
    const { servers, site } = world;
    const { listen, headers } = await standalone(world);
    const socket = await site.sendAndNeverRead("GET", headers);
    await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
    expect((await listen()).status).toBe(409);
    expect((await listen("_GET_stream_1")).status).toBe(409);
    await log(servers[0], "while the first is open");
    const first = site.lastResponse;
    socket.destroy();
    await until(() => first?.destroyed === true);
    let next = await listen("_GET_stream_1");
    while (next.status === 409) next = await listen("_GET_stream_1");
    await log(servers[0], "afterwards");
    let text = "";
    for await (const chunk of next.body ?? []) {
      text += new TextDecoder().decode(chunk as Uint8Array);
      if (text.includes("afterwards")) break;
    }
    expect(text).toContain("while the first is open");
  });
});
