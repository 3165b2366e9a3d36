// One MCP server in a process of its own: node server-process.ts v1|v2 http|stdio guarded|unguarded
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport as StdioV1 } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport as HttpV1 } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { NodeStreamableHTTPServerTransport as HttpV2 } from "@modelcontextprotocol/node";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { StdioServerTransport as StdioV2 } from "@modelcontextprotocol/server/stdio";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { guardTransport } from "@mcp-accel/stream-guard/mcp";
import { LIMIT_BYTES, NOTIFICATION_BYTES, NOTIFICATIONS } from "./case.ts";
import type { Flood, Memory } from "./case.ts";

const SEND_TIMEOUT_MS = 800;
const SETTLE_MS = 200;
/** Less than the time after which a send that stands still fails. */
const STANDING_MS = 200;
const LOOP_RESOLUTION_MS = 5;
const FILL = "x".repeat(NOTIFICATION_BYTES);

const [sdk, kind, guarded] = process.argv.slice(2);
const guard =
  guarded === "guarded" ? new StreamGuard({ sessionMaxMemoryBytes: LIMIT_BYTES }) : undefined;
const servers: ServerV1[] = [];
let chargePeakBytes = 0;
let floodedBytes = (): number => process.stdout.writableLength;
let sentBytes = 0;
let started = 0;
let settled = 0;

guard?.on("close", ({ peakBytes }) => {
  chargePeakBytes = Math.max(chargePeakBytes, peakBytes);
});
process.on("message", ({ type }: { readonly type: string }) => {
  if (type === "flood") void flood().then((result) => tell({ type: "flooded", ...result }));
});
if (kind === "stdio") await serveStdio();
else await serveHttp();

async function serveStdio(): Promise<void> {
  const stdio = sdk === "v1" ? new StdioV1() : (new StdioV2() as unknown as StdioV1);
  const options = { destination: process.stdout, sendTimeoutMs: SEND_TIMEOUT_MS };
  await newServer().connect(guard === undefined ? stdio : guardTransport(stdio, guard, options));
  tell({ type: "ready", port: 0 });
}

async function serveHttp(): Promise<void> {
  const transports = new Map<string, HttpV1>();
  const Http = sdk === "v1" ? HttpV1 : (HttpV2 as unknown as typeof HttpV1);
  const open = async (): Promise<HttpV1> => {
    const plain = new Http({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    const options = { sendTimeoutMs: SEND_TIMEOUT_MS };
    const transport = guard === undefined ? plain : guardTransport(plain, guard, options);
    await newServer().connect(transport);
    return transport;
  };
  const server = createServer(async (request, response) => {
    const known = transports.get(String(request.headers["mcp-session-id"]));
    if (request.method === "GET") watch(response);
    await (known ?? (await open())).handleRequest(request, response);
  });
  server.listen(0, "127.0.0.1", () => {
    tell({ type: "ready", port: (server.address() as AddressInfo).port });
  });
}

/** What was sent on the stream of `response`, less what the system took of it. */
function watch(response: ServerResponse): void {
  const { socket } = response;
  const { _handle: handle } = socket as unknown as {
    readonly _handle: { readonly bytesWritten: number; readonly writeQueueSize: number };
  };
  floodedBytes = () =>
    socket?.destroyed === false ? sentBytes - (handle.bytesWritten - handle.writeQueueSize) : 0;
  const look = setInterval(() => {
    if (!response.headersSent) return;
    clearInterval(look);
    tell({ type: "listening" });
  }, LOOP_RESOLUTION_MS);
}

function newServer(): ServerV1 {
  const info = { name: "demo", version: "1" };
  const options = { capabilities: { logging: {} } };
  const server =
    sdk === "v1"
      ? new ServerV1(info, options)
      : (new ServerV2(info, options) as unknown as ServerV1);
  server.registerTool("small", {}, () => ({ content: [{ type: "text", text: "fine" }] }));
  servers.push(server);
  return server;
}

async function flood(): Promise<Flood> {
  globalThis.gc?.();
  await turn();
  const baseline = memory();
  const peak = { ...baseline };
  let bufferedPeakBytes = 0;
  const sample = (): void => {
    const now = memory();
    for (const key of Object.keys(now) as (keyof Memory)[])
      peak[key] = Math.max(peak[key], now[key]);
    bufferedPeakBytes = Math.max(bufferedPeakBytes, floodedBytes());
    for (const session of guard?.sessions() ?? [])
      chargePeakBytes = Math.max(chargePeakBytes, session.peakBytes);
  };
  const sampling = setInterval(sample, LOOP_RESOLUTION_MS);
  const standing = whenStanding().then(() => {
    globalThis.gc?.();
    return memory();
  });
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loop.enable();
  const outcomes = await sendAll(sample);
  const held = await standing;
  await sleep(SEND_TIMEOUT_MS + SETTLE_MS);
  sample();
  clearInterval(sampling);
  loop.disable();
  return {
    baseline,
    peak,
    held,
    ...(guard === undefined ? {} : { chargePeakBytes }),
    bufferedPeakBytes,
    outcomes: outcomes(),
    loop: { p50Ms: lateMs(loop.percentile(50)), p99Ms: lateMs(loop.percentile(99)) },
  };
}

/** Resolves when the sends have stood still for `STANDING_MS`. */
async function whenStanding(): Promise<void> {
  for (let seen = -1; seen !== settled + started; await sleep(STANDING_MS))
    seen = settled + started;
}

/** One message each turn of the event loop. On HTTP each is awaited; on stdio none is, as an event handler would not. */
async function sendAll(sample: () => void): Promise<() => Record<string, number>> {
  const outcomes: Record<string, number> = {};
  const settle = (outcome: string): void => {
    settled += 1;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  };
  while (started < NOTIFICATIONS) {
    started += 1;
    const sending = sendOne().then(settle);
    if (kind === "http") await sending;
    if (started % 16 === 0) sample();
    await turn();
  }
  return () =>
    settled === NOTIFICATIONS ? outcomes : { ...outcomes, unsettled: NOTIFICATIONS - settled };
}

async function sendOne(): Promise<string> {
  const params = { level: "info", data: FILL } as const;
  try {
    await servers[0]?.server.notification({ method: "notifications/message", params });
    sentBytes += NOTIFICATION_BYTES;
    return "sent";
  } catch (error) {
    const { code, message } = error as Error & { readonly code?: string };
    return code ?? message;
  }
}

function memory(): Memory {
  const { rss, external, heapUsed } = process.memoryUsage();
  return { residentBytes: rss, externalBytes: external, heapBytes: heapUsed };
}

function lateMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - LOOP_RESOLUTION_MS);
}

function tell(message: object): void {
  process.send?.(message);
}
