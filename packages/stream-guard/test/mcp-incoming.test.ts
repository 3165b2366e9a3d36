import { connect } from "node:net";
import type { Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { SessionMap } from "@mcp-accel/stream-guard/mcp";
import type { GuardTransportOptions } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { call, KIB, sdkOf } from "./mcp-clients.ts";
import { INITIALIZE, Site, until } from "./mcp-http.ts";

const LIMIT = 256 * KIB;
const MIB = 1024 * KIB;
const CHUNKED = { "transfer-encoding": "chunked", "content-length": undefined };
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const world of open.splice(0)) await world[Symbol.asyncDispose]();
});

describe.each(["v1", "v2"] as const)("bodies sent to a %s server", (version) => {
  const sdk = sdkOf(version);

  async function served(limits: GuardTransportOptions = {}) {
    const time = new FakeTime();
    const { now, schedule } = time;
    const guard = new StreamGuard({
      now,
      schedule,
      maxMemoryBytes: 4 * LIMIT,
      sessionMaxMemoryBytes: LIMIT,
      retryAfterMs: 2500,
    });
    const sessions = new SessionMap<ReturnType<typeof sdk.transport>>(guard, {
      transport: (given) => sdk.transport(given),
      connect: (transport) => sdk.server().connect(transport),
      limits,
      schedule,
    });
    const site = await Site.listen((request, response) =>
      sessions.handleRequest(request, response),
    );
    open.push(site, sessions);
    const response = await site.post(INITIALIZE);
    await response.text();
    const headers = { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
    await until(() => guard.stats().usedBytes === 0);
    return { guard, time, site, headers };
  }

  test("a body beyond maxBodyBytes is refused with 413, without being read to its end", async () => {
    const { guard, site, headers } = await served({ maxBodyBytes: 32 * KIB });
    const response = await site.post(
      call(2, "echo", { size: 1, fill: "x".repeat(33 * KIB) }),
      headers,
    );
    expect(response.status).toBe(413);
    expect(response.headers.get("connection")).toBe("close");
    expect(await response.json()).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: { code: -32_000, data: { code: "STREAM_GUARD_MESSAGE_TOO_LARGE" } },
    });
    expect(guard.stats().peakBytes).toBeLessThan(64 * KIB);
    const next = await site.post(call(3, "echo", { size: 1 }), headers);
    expect(next.status).toBe(200);
    await next.text();
  });

  test("a body larger than the session may ever hold is refused with 413", async () => {
    const { guard, site, headers } = await served();
    const fill = "x".repeat(LIMIT);
    const response = await site.post(call(2, "echo", { size: 1, fill }), headers);
    expect(response.status).toBe(413);
    await response.text();
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
    await until(() => guard.stats().usedBytes === 0);
    expect(guard.stats().sessions).toBe(1);
  });

  test("a body for which the session has no room waits for it; in the end it is refused with 503 and Retry-After", async () => {
    const { guard, time, site, headers } = await served();
    const session = guard.sessions()[0];
    session?.begin();
    session?.reserve(200 * KIB);
    const message = call(2, "echo", { size: 3, fill: "x".repeat(100 * KIB) });
    const refused = site.post(message, headers);
    await until(() => guard.stats().waiting === 1);
    time.advance(30_000);
    const response = await refused;
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("3");
    expect(await response.json()).toMatchObject({
      error: { data: { code: "STREAM_GUARD_MEMORY_LIMIT", retryAfterMs: 2500 } },
    });
    const patient = site.post(message, headers);
    await until(() => guard.stats().waiting === 1);
    session?.release(200 * KIB);
    expect(await (await patient).text()).toContain("xxx");
    await until(() => guard.stats().usedBytes === 0);
    expect(guard.stats().sessions).toBe(1);
  });

  test("a client that goes while its body waits for room leaves no wait behind", async () => {
    const { guard, site, headers } = await served();
    guard.sessions()[0]?.reserve(200 * KIB);
    const socket = sendHalfABody(site.url, headers, 100 * KIB);
    await until(() => guard.stats().waiting === 1);
    socket.destroy();
    await until(() => guard.stats().waiting === 0);
    await until(() => guard.stats().usedBytes === 200 * KIB);
    expect(guard.sessions()[0]?.operations).toBe(0);
  });

  test("what is announced and not sent is not charged", async () => {
    const { guard, site, headers } = await served();
    for (let count = 0; count < 20; count += 1) sendHalfABody(site.url, headers, 1, 200 * KIB);
    await until(() => guard.stats().usedBytes >= 20 * 4096);
    expect(guard.stats()).toMatchObject({ usedBytes: 20 * 4096, waiting: 0 });
  });

  test("a body in parts of one byte costs what it is charged for", async () => {
    const { guard, site, headers } = await served();
    const socket = sendHalfABody(site.url, { ...headers, ...CHUNKED }, 0);
    const before = heldBytes();
    socket.write("1\r\nx\r\n".repeat(60 * KIB));
    await until(() => guard.stats().usedBytes === 64 * KIB);
    await until(() => socket.writableLength === 0);
    expect(heldBytes() - before).toBeLessThan(MIB);
  });

  test("a body that arrives steadily is neither idle nor evicted, however long it takes", async () => {
    const { guard, time, site, headers } = await served();
    const text = JSON.stringify(call(2, "echo", { size: 3, fill: "x".repeat(6000) }));
    const length = { "content-length": String(text.length) };
    const socket = sendHalfABody(site.url, { ...headers, ...length }, 0);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    const other = guard.open({ maxMemoryBytes: 4 * LIMIT });
    other.begin();
    other.reserve(3.6875 * LIMIT);
    expect(guard.level).toBe("critical");
    for (let at = 0; at < text.length; at += 100) {
      socket.write(text.slice(at, at + 100));
      for (let turn = 0; turn < 10; turn += 1) await settle();
      time.advance(900);
    }
    await until(() => answer.includes("xxx"));
    expect(guard.stats().closed).not.toMatchObject({ idle: 1 });
  }, 20_000);

  test("a body that stalls is answered with 408 and gives back what it held, and its session goes on", async () => {
    const { guard, time, site, headers } = await served();
    const socket = sendHalfABody(site.url, headers, 50 * KIB);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    await until(() => guard.stats().usedBytes >= 50 * KIB);
    time.advance(28_000);
    expect(guard.stats().usedBytes).toBeGreaterThan(50 * KIB - 1);
    time.advance(5000);
    expect(guard.stats().usedBytes).toBe(0);
    await until(() => answer.includes("STREAM_GUARD_UPLOAD_STALLED"));
    expect(answer).toMatch(/^HTTP\/1.1 408 /u);
    await until(() => socket.closed);
    const next = await site.post(call(3, "echo", { size: 3 }), headers);
    expect(await next.text()).toContain("xxx");
  });

  test("under pressure a body that stalls gives way within a second or so", async () => {
    const { guard, time, site, headers } = await served();
    sendHalfABody(site.url, headers, 50 * KIB);
    await until(() => guard.stats().usedBytes >= 50 * KIB);
    const other = guard.open({ maxMemoryBytes: 4 * LIMIT });
    other.begin();
    other.reserve(3.125 * LIMIT);
    time.advance(2000);
    expect(other.memoryUsageBytes).toBe(guard.stats().usedBytes);
    expect(guard.stats().sessions).toBe(2);
  });

  test("a body that does not say how long it is counts as it comes", async () => {
    const { guard, site, headers } = await served();
    const socket = sendHalfABody(site.url, { ...headers, ...CHUNKED }, 0);
    socket.write(`${(100 * KIB).toString(16)}\r\n${"x".repeat(100 * KIB)}\r\n`);
    await until(() => guard.stats().usedBytes >= 100 * KIB);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    for (let count = 0; count < 4; count += 1)
      socket.write(`${(50 * KIB).toString(16)}\r\n${"x".repeat(50 * KIB)}\r\n`);
    await until(() => answer.includes("413"));
    await until(() => guard.stats().usedBytes === 0);
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
  });

  test("clients that send half a body and stop hold no more than the session's limit, and give it back when they go", async () => {
    const { guard, site, headers } = await served();
    const sockets = Array.from({ length: 20 }, () => sendHalfABody(site.url, headers, 50 * KIB));
    await until(() => guard.stats().waiting > 0);
    for (const socket of sockets) socket.destroy();
    await until(() => guard.stats().usedBytes === 0 && guard.stats().waiting === 0);
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
    const next = await site.post(call(3, "echo", { size: 3 }), headers);
    expect(await next.text()).toContain("xxx");
  });

  test.each(["{", "", "[1,", "\u0000", '{"jsonrpc":"2.0"}', "[]", "null", '"x"'])(
    "the body %j is answered with a JSON-RPC error, and the session goes on",
    async (body) => {
      const { guard, site, headers } = await served();
      const types = {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      };
      const bad = await fetch(site.url, {
        method: "POST",
        headers: { ...headers, ...types },
        body,
      });
      const text = await bad.text();
      expect([bad.status, text === "" || "error" in (JSON.parse(text) as object)]).toEqual([
        body === "[]" ? 202 : 400,
        true,
      ]);
      const next = await site.post(call(3, "echo", { size: 3 }), headers);
      expect(await next.text()).toContain("xxx");
      await until(() => guard.stats().usedBytes === 0);
    },
  );

  test("what the transport refuses by its headers is not read", async () => {
    const { guard, site, headers } = await served();
    const body = "x".repeat(LIMIT);
    const plain = await fetch(site.url, { method: "POST", headers, body });
    expect(plain.status).toBe(406);
    const accept = "application/json, text/event-stream";
    const typed = { ...headers, accept, "content-type": "text/plain" };
    expect((await fetch(site.url, { method: "POST", headers: typed, body })).status).toBe(415);
    expect(guard.stats().limited.session).toBe(0);
  });
});

/** What the process holds, after a collection. */
function heldBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Sends `bytes` of a body of which it announced more, and then nothing. */
function sendHalfABody(
  url: string,
  headers: Record<string, string | undefined>,
  bytes: number,
  announcedBytes: number = 2 * bytes,
): Socket {
  const socket = connect(Number(new URL(url).port), "127.0.0.1").resume();
  socket.on("error", () => {});
  const all = {
    host: "test",
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "content-length": String(announcedBytes),
    ...headers,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST /mcp HTTP/1.1\r\n${lines.join("")}\r\n${"x".repeat(bytes)}`);
  return socket;
}
