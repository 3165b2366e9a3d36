import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { StdioServerTransport as StdioV1 } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StdioServerTransport as StdioV2 } from "@modelcontextprotocol/server/stdio";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { guardResponse, guardTransport, SessionMap } from "@mcp-accel/stream-guard/mcp";
import type { SessionMapOptions } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { call, FILL, KIB, log, sdkOf } from "./mcp-clients.ts";
import { INITIALIZE, Site, until } from "./mcp-http.ts";

const LIMIT = 1024 * KIB;
const NOTE = { jsonrpc: "2.0", method: "notifications/message", params: { data: FILL } } as const;

describe.each(["v1", "v2"] as const)("SDK %s", (version) => {
  const sdk = sdkOf(version);
  type Transport = ReturnType<typeof sdk.transport>;

  function sessionsOf(
    options: StreamGuardOptions = {},
    more: Partial<SessionMapOptions<Transport>> = {},
  ) {
    const time = new FakeTime();
    const { now, schedule } = time;
    const guard = new StreamGuard({ now, schedule, sessionMaxMemoryBytes: LIMIT, ...options });
    const servers: ReturnType<typeof sdk.server>[] = [];
    const sessions = new SessionMap<Transport>(guard, {
      transport: (given) => sdk.transport(given),
      connect: async (transport) => {
        const server = sdk.server();
        servers.push(server);
        await server.connect(transport);
      },
      schedule,
      ...more,
    });
    return { guard, time, servers, sessions };
  }

  async function served(...args: Parameters<typeof sessionsOf>) {
    const world = sessionsOf(...args);
    const { sessions } = world;
    const site = await Site.listen((request, response) =>
      sessions.handleRequest(request, response),
    );
    const response = await site.post(INITIALIZE);
    await response.text();
    const headers = { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
    await until(() => site.lastResponse?.closed === true);
    const close = async (): Promise<void> => {
      await sessions.close();
      await site[Symbol.asyncDispose]();
    };
    return { ...world, site, headers, [Symbol.asyncDispose]: close };
  }

  test("sends under way when the transport closes are all settled, on a pipe that never drains too", async () => {
    const { now, schedule } = new FakeTime();
    const guard = new StreamGuard({ now, schedule, sessionMaxMemoryBytes: LIMIT });
    const stuck = new Writable({ write: () => {} });
    const Stdio = version === "v1" ? StdioV1 : (StdioV2 as unknown as typeof StdioV1);
    const transport = guardTransport(new Stdio(new PassThrough(), stuck), guard, {
      destination: stuck,
    });
    await transport.start();
    const sends = Promise.allSettled(Array.from({ length: 40 }, () => transport.send(NOTE)));
    await settle();
    expect(guard.stats().waiting).toBe(1);
    await transport.close();
    const outcomes = await sends;
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    const codes = outcomes.map((outcome) => (outcome as { reason: { code: string } }).reason.code);
    expect(codes[0]).toBe("STREAM_GUARD_SESSION_CLOSED");
    expect(codes.at(-1)).toBe("STREAM_GUARD_QUEUE_FULL");
    await expect(transport.send(NOTE)).rejects.toMatchObject({
      code: "STREAM_GUARD_SESSION_CLOSED",
    });
    expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0, waiting: 0 });
  });

  test("a pipe that is not read is destroyed with the session that failed for it", async () => {
    const time = new FakeTime();
    const { now, schedule } = time;
    const guard = new StreamGuard({ now, schedule, sessionMaxMemoryBytes: LIMIT });
    const stuck = new Writable({ write: () => {} });
    const Stdio = version === "v1" ? StdioV1 : (StdioV2 as unknown as typeof StdioV1);
    const options = { destination: stuck, sendTimeoutMs: 1000 };
    const transport = guardTransport(new Stdio(new PassThrough(), stuck), guard, options);
    await transport.start();
    const sends = Promise.allSettled(Array.from({ length: 20 }, () => transport.send(NOTE)));
    await until(() => guard.stats().waiting === 1);
    time.advance(1000);
    await sends;
    expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0, closed: { limit: 1 } });
    expect(stuck.destroyed).toBe(true);
  });

  test("a stdio session is not closed because its client says nothing", async () => {
    const time = new FakeTime();
    const guard = new StreamGuard({ now: time.now, schedule: time.schedule });
    const output = new PassThrough();
    const Stdio = version === "v1" ? StdioV1 : (StdioV2 as unknown as typeof StdioV1);
    const transport = guardTransport(new Stdio(new PassThrough(), output), guard, {
      destination: output,
    });
    time.advance(24 * 3_600_000);
    expect(guard.stats().sessions).toBe(1);
    await transport.close();
    expect(guard.stats().sessions).toBe(0);
  });

  test("on a machine so slow that its timers are always late, what the adapter has not begun to write still counts", async () => {
    await using world = await served();
    const { guard, site, servers, headers } = world;
    let unseen = 0;
    servers[0]?.registerTool("slow", { inputSchema: z.object({}) }, async (_, extra) => {
      type Send = (message: object) => Promise<void>;
      const context = extra as unknown as { sendNotification?: Send; mcpReq?: { notify: Send } };
      const send = context.sendNotification ?? context.mcpReq?.notify ?? (async () => {});
      const params = { level: "info", data: FILL };
      for (let count = 0; count < 300; count += 1) {
        const heldUpUntil = performance.now() + 3;
        while (performance.now() < heldUpUntil);
        await send({ method: "notifications/message", params });
        if (site.lastResponse?.headersSent === false) unseen += 1;
      }
      return { content: [] };
    });
    await site.sendAndNeverRead("POST", headers, JSON.stringify(call(5, "slow", {})));
    await until(() => guard.stats().waiting === 1 && site.lastResponse?.headersSent === true);
    for (let turn = 0; turn < 200; turn += 1) await settle();
    expect(unseen * FILL.length).toBeLessThan(LIMIT);
    expect(guard.stats()).toMatchObject({ sessions: 1, closed: { limit: 0 } });
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
  });

  test("a reader that goes in the middle of a message gives everything back, and can come again", async () => {
    await using world = await served();
    const { guard, site, servers, headers } = world;
    const socket = await site.sendAndNeverRead("GET", headers);
    await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
    const sends = Promise.allSettled(
      Array.from({ length: 60 }, () => log(servers[0], FILL.repeat(8))),
    );
    await until(() => guard.stats().usedBytes > LIMIT / 2);
    await new Promise<void>((resolve) => {
      socket.once("data", () => resolve());
      socket.resume();
    });
    socket.destroy();
    await sends;
    await until(() => guard.stats().usedBytes === 0);
    expect(guard.stats().sessions).toBe(1);
    const again = await fetch(site.url, { headers: { ...headers, accept: "text/event-stream" } });
    expect(again.status).toBe(200);
    await log(servers[0], "hello again");
    for await (const chunk of again.body ?? []) {
      expect(new TextDecoder().decode(chunk as Uint8Array)).toContain("hello again");
      break;
    }
  });

  test("a handler that ignores every refusal is still held to the limit, and its session fails alone", async () => {
    await using world = await served({ stallTimeoutMs: 5000, reserveTimeoutMs: 1000 });
    const { guard, time, site, servers, headers } = world;
    const other = await site.post(INITIALIZE);
    await other.text();
    const refusals = new Set<string>();
    let ended = false;
    servers[0]?.registerTool("stubborn", { inputSchema: z.object({}) }, async () => {
      for (let count = 0; count < 5000; count += 1) {
        void log(servers[0], FILL).catch((error: { code?: string; message: string }) =>
          refusals.add(error.code ?? error.message),
        );
        if (count % 50 === 0) await settle();
      }
      ended = true;
      return { content: [] };
    });
    await site.sendAndNeverRead("GET", headers);
    await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
    const answer = site.post(call(5, "stubborn", {}), headers).then(
      (response) => response.text(),
      () => "cut off",
    );
    await until(() => guard.stats().waiting > 0);
    await until(() => ended);
    for (let look = 0; look < 10; look += 1) {
      time.advance(1000);
      await settle();
    }
    await answer;
    await until(() => guard.stats().sessions === 1 && guard.stats().usedBytes === 0);
    expect(refusals).toContain("STREAM_GUARD_QUEUE_FULL");
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT + 64 * KIB);
    const alive = { "mcp-session-id": other.headers.get("mcp-session-id") ?? "" };
    expect((await site.post(call(6, "echo", { size: 1 }), alive)).status).toBe(200);
  });

  test("a session that gives way while its stream is being resumed leaves nothing charged", async () => {
    await using world = await served({}, { events: {} });
    const { guard, site, servers, headers } = world;
    for (let count = 0; count < 6; count += 1) await log(servers[0], FILL);
    expect(guard.stats().usedBytes).toBeGreaterThan(6 * 64 * KIB);
    const [session] = guard.sessions();
    const reserve = session?.reserve.bind(session);
    let closing: Promise<void> | undefined;
    Object.assign(session ?? {}, {
      reserve: (bytes: number) => {
        reserve?.(bytes);
        closing ??= session?.close("evicted");
      },
    });
    const stream = await fetch(site.url, {
      headers: { ...headers, accept: "text/event-stream", "last-event-id": "_GET_stream_1" },
    }).catch(() => undefined);
    await closing;
    await stream?.text().catch(() => "cut off");
    expect(stream?.status).toBe(404);
    await until(() => guard.stats().sessions === 0);
    expect(guard.stats().usedBytes).toBe(0);
    expect((await site.post(call(6, "echo", { size: 1 }), headers)).status).toBe(404);
  });

  test("listeners that throw become warnings, and everything is given back all the same", async () => {
    const warnings: (string | undefined)[] = [];
    const onWarning = (warning: Error & { code?: string }): void => {
      warnings.push(warning.code);
    };
    process.on("warning", onWarning);
    await using world = await served({}, { onerror: broken });
    const { guard, site, servers, headers } = world;
    guard.on("close", broken).on("reject", broken).on("limit", broken).on("level", broken);
    const { server } = servers[0] ?? {};
    if (server !== undefined) server.onerror = broken;
    await guard.sessions()[0]?.close("evicted");
    await until(() => warnings.length >= 2);
    expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0 });
    expect((await site.post(call(6, "echo", { size: 1 }), headers)).status).toBe(404);
    process.off("warning", onWarning);
    expect(new Set(warnings)).toEqual(new Set(["STREAM_GUARD_LISTENER"]));
  });

  test("1,000 clients that connect and never read hold no more than the guard's limit, and another is served", async () => {
    const total = 16 * LIMIT;
    const { guard, time, servers, sessions } = sessionsOf({
      maxMemoryBytes: total,
      maxSessions: 1001,
      stallTimeoutMs: 5000,
      reserveTimeoutMs: 5000,
    });
    const responses: ServerResponse[] = [];
    const server = createServer((request, response) => {
      if (request.method === "GET") responses.push(response);
      void sessions.handleRequest(request, response);
    });
    const folder = mkdtempSync(join(tmpdir(), "never-read-"));
    // A Unix socket buffers 208 KiB where a TCP connection would take megabytes of the system's memory.
    const path = join(folder, "server");
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    const sockets: Socket[] = [];
    const ids: string[] = [];
    for (let client = 0; client < 1001; client += 1) {
      const { id, socket } = await initializeOver(path);
      ids.push(id);
      sockets.push(socket);
    }
    const flooders = sockets.slice(0, 1000);
    for (const [index, socket] of flooders.entries())
      socket
        .pause()
        .write(
          `GET /mcp HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nmcp-session-id: ${ids[index]}\r\n\r\n`,
        );
    await until(() => responses.filter(({ headersSent }) => headersSent).length === 1000);
    await until(() => guard.stats().usedBytes === 0);
    const before = process.memoryUsage().arrayBuffers;
    const outcomes = servers
      .slice(0, 1000)
      .flatMap((each) => Array.from({ length: 6 }, () => log(each, FILL)))
      .map((sent) => sent.catch(() => {}));
    let held = 0;
    for (let turn = 0; turn < 50; turn += 1) {
      await settle();
      held = Math.max(
        held,
        responses.reduce((sum, { writableLength }) => sum + writableLength, 0),
      );
      expect(guard.stats().usedBytes).toBeLessThanOrEqual(total);
    }
    expect(held).toBeGreaterThan(total / 2);
    expect(held).toBeLessThanOrEqual(total);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * total);
    const last = sockets[1000];
    last?.write(postOf(call(9, "echo", { size: 4 }), ids[1000]));
    let answer = "";
    last?.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    while (!answer.includes("xxxx")) {
      time.advance(250);
      await settle();
    }
    expect(answer).toContain("200 OK");
    while (guard.stats().usedBytes > 0 || guard.stats().waiting > 0) {
      time.advance(250);
      await settle();
    }
    await Promise.all(outcomes);
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(total);
    await sessions.close();
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    rmSync(folder, { recursive: true });
  }, 180_000);
});

test("guarding a response whose client has already gone leaves no session", async () => {
  const { now, schedule } = new FakeTime();
  const guard = new StreamGuard({ now, schedule });
  const done = Promise.withResolvers<void>();
  await using site = await Site.listen(async (_request, response) => {
    await until(() => response.destroyed);
    const { session } = guardResponse(response, guard);
    expect([session.closed, session.operations]).toEqual([true, 0]);
    done.resolve();
  });
  const socket = await site.sendAndNeverRead("GET", {});
  await until(() => site.lastResponse !== undefined);
  socket.destroy();
  await done.promise;
  expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0 });
});

function broken(): never {
  throw new Error("a broken listener");
}

function postOf(message: object, id?: string): string {
  const body = JSON.stringify(message);
  const session = id === undefined ? "" : `mcp-session-id: ${id}\r\n`;
  const types = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n";
  return `POST /mcp HTTP/1.1\r\nhost: x\r\n${types}${session}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

async function initializeOver(path: string): Promise<{ id: string; socket: Socket }> {
  const socket = connect(path);
  socket.on("error", () => {});
  socket.write(postOf(INITIALIZE));
  let text = "";
  await new Promise<void>((resolve) => {
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!text.includes('"id":1}')) return;
      socket.off("data", onData);
      resolve();
    };
    socket.on("data", onData);
  });
  return { id: /mcp-session-id: (\S+)/i.exec(text)?.[1] ?? "", socket };
}
