import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { ReaderStalledError, StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamGuardOptions, StreamingSession } from "@mcp-accel/stream-guard";
import { guardResponse } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { Site, until } from "./mcp-http.ts";

const MIB = 1 << 20;
const CLIENTS = 24;
const PIPELINED = 3;
/** More than the kernel keeps for a client that does not read. */
const LARGE = Buffer.alloc(16 * MIB, "x");

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const sessionMaxMemoryBytes = 32 * MIB;
  const guard = new StreamGuard({ now, schedule, sessionMaxMemoryBytes, ...options });
  return { guard, time };
}

/** Answers every request with as many bytes as its path says, under guard; 503 when refused. */
async function served(guard: StreamGuard) {
  const responses: ServerResponse[] = [];
  const sessions: StreamingSession[] = [];
  const site = await Site.listen((request, response) => {
    try {
      sessions.push(guardResponse(response, guard).session);
    } catch {
      response.statusCode = 503;
      return response.end();
    }
    responses.push(response);
    const bytes = Number(new URL(request.url ?? "", site.url).searchParams.get("bytes"));
    return bytes > 0 && response.end(LARGE.subarray(0, bytes));
  });
  const close = (): Promise<void> => site[Symbol.asyncDispose]();
  return { site, responses, sessions, [Symbol.asyncDispose]: close };
}

/** Asks several times at once, and reads only when told to. */
async function ask(site: Site, bytes: number, times = 1): Promise<Socket> {
  const socket = connect(Number(new URL(site.url).port), "127.0.0.1").pause();
  sockets.push(socket);
  socket.on("error", () => {});
  socket.write(`GET /mcp?bytes=${bytes} HTTP/1.1\r\nHost: test\r\n\r\n`.repeat(times));
  await once(socket, "connect");
  return socket;
}

/** Virtual time in which sockets make what progress they can. */
async function pass(time: FakeTime, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    time.advance(250);
    for (let turn = 0; turn < 5; turn += 1) await settle();
  }
}

/** Turns the event loop until no response's socket has moved for a while. */
async function stillness(responses: readonly ServerResponse[]): Promise<void> {
  let last = -1;
  for (let still = 0; still < 100; still += 1) {
    const queued = responses.map(({ req }) => queueOf(req.socket)).reduce((a, b) => a + b, 0);
    if (queued !== last) still = 0;
    last = queued;
    await settle();
  }
}

function queueOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { writeQueueSize: number } | null };
  return handle?.writeQueueSize ?? 0;
}

describe("clients that do not read", () => {
  test("good clients are served about a second after pipelining ones filled the guard, and those are cut off", async () => {
    const size = 8 * MIB;
    const capacity = 16 * PIPELINED * size;
    const { guard, time } = guardOf({ maxMemoryBytes: capacity });
    await using world = await served(guard);
    const { site, responses } = world;
    const bad = await Promise.all(
      Array.from({ length: CLIENTS }, () => ask(site, size, PIPELINED)),
    );
    await until(() => guard.level !== "normal" && guard.level !== "elevated");
    await stillness(responses);
    const stuck = [...responses];
    const good = () => fetch(`${site.url}?bytes=${MIB}`);
    expect((await good()).status).toBe(503);
    const held = guard.stats().usedBytes;
    expect(held).toBeGreaterThan(0.75 * capacity);

    await pass(time, 2000);
    expect(guard.level).toBe("elevated");
    const answer = await good();
    expect([answer.status, (await answer.arrayBuffer()).byteLength]).toEqual([200, MIB]);
    expect(guard.stats().evicted.stalled).toBeGreaterThan(0);
    expect(guard.stats().usedBytes).toBeGreaterThan(0.5 * capacity);

    await pass(time, 35_000);
    await until(() => guard.stats().sessions === 0);
    expect(guard.stats().usedBytes).toBe(0);
    const cut = new Set(stuck.map(({ req }) => req.socket));
    for (const socket of cut) expect(socket.destroyed).toBe(true);
    for (const socket of bad) socket.resume();
    await until(() => bad.filter(({ closed }) => closed).length === cut.size);
  });

  test("what is charged for pipelined responses is what they buffer, and cutting one frees all at once", async () => {
    const { guard, time } = guardOf();
    await using world = await served(guard);
    const { site, responses, sessions } = world;
    await ask(site, LARGE.byteLength, 3);
    await until(() => responses.length === 3);
    await stillness(responses);
    const [first, second, third] = responses;
    expect([first?.socket, second?.socket, third?.socket]).toEqual([first?.req.socket, null, null]);
    for (const [index, { writableLength }] of responses.entries()) {
      expect(sessions[index]?.memoryUsageBytes).toBe(writableLength);
      expect(writableLength).toBeGreaterThan(LARGE.byteLength);
    }
    third?.destroy();
    await sessions[1]?.close("of my own");
    expect(first?.req.socket.destroyed).toBe(true);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
    time.advance(1000);
  });

  test("text is charged as the bytes that are buffered, whatever its characters", async () => {
    const { guard } = guardOf();
    const text = "€".repeat(8 * MIB);
    const charged = Promise.withResolvers<number[]>();
    await using site = await Site.listen((_request, response) => {
      const { session } = guardResponse(response, guard);
      response.end(text);
      charged.resolve([session.memoryUsageBytes, response.writableLength]);
    });
    const answer = await fetch(site.url);
    const [bytes = 0, buffered] = await charged.promise;
    expect(bytes).toBe(buffered);
    expect(bytes).toBeGreaterThan(Buffer.byteLength(text));
    expect(answer.headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
    expect((await answer.text()) === text).toBe(true);
  });

  test("a response that is stalled is closed with an error that says so, without pressure", async () => {
    const { guard, time } = guardOf();
    await using world = await served(guard);
    const { site, responses, sessions } = world;
    const socket = await ask(site, LARGE.byteLength);
    await until(() => responses.length === 1);
    await stillness(responses);
    await pass(time, 29_000);
    expect(sessions[0]?.closed).toBe(false);
    await pass(time, 3000);
    expect(sessions[0]?.signal.reason).toBeInstanceOf(ReaderStalledError);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { stalled: 1 } });
    socket.resume();
    await until(() => socket.closed);
    // A reset takes back even what the system had kept for the client.
    expect(socket.bytesRead).toBeLessThan(MIB);
  });
});

describe("clients that are not to be cut", () => {
  test("a slow reader of one large chunk gets all of it, though it takes many stall timeouts", async () => {
    const { guard, time } = guardOf();
    await using world = await served(guard);
    const { site, responses, sessions } = world;
    const socket = await ask(site, LARGE.byteLength);
    await until(() => responses.length === 1);
    let steps = 0;
    socket.on("readable", () => {});
    while (sessions[0]?.closed === false) {
      await stillness(responses);
      const connection = responses[0]!.req.socket;
      const queued = queueOf(connection);
      await until(() => {
        socket.read();
        return sessions[0]?.closed === true || queueOf(connection) < queued;
      });
      await pass(time, 25_000);
      steps += 1;
    }
    expect(steps).toBeGreaterThan(2);
    expect(sessions[0]?.closeReason).toBe("closed");
  });

  test("an event stream that waits for news lasts", async () => {
    const { guard, time } = guardOf();
    await using world = await served(guard);
    const { site, responses, sessions } = world;
    await ask(site, 0);
    await until(() => responses.length === 1);
    responses[0]?.write("data: hello\n\n");
    await until(() => guard.stats().usedBytes === 0);
    await pass(time, 120_000);
    expect(sessions[0]?.closed).toBe(false);
  });

  test("an answer that waits behind a long operation on its connection arrives after it", async () => {
    const { guard, time } = guardOf();
    await using world = await served(guard);
    const { site, responses, sessions } = world;
    const socket = await ask(site, 0);
    socket.write(`GET /mcp?bytes=${MIB} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`);
    await until(() => responses.length === 2);
    expect(guard.stats().usedBytes).toBeGreaterThan(MIB);
    await pass(time, 120_000);
    expect(sessions.map(({ closed }) => closed)).toEqual([false, false]);
    responses[0]?.end("done");
    socket.resume();
    await until(() => socket.closed);
    expect(socket.bytesRead).toBeGreaterThan(MIB);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { closed: 2 } });
  });

  test("a client that goes away while its answers are queued leaves nothing charged", async () => {
    const { guard, time } = guardOf();
    await using world = await served(guard);
    const { site, responses } = world;
    const socket = await ask(site, LARGE.byteLength, 3);
    await until(() => responses.length === 3);
    const told: number[] = [];
    for (const [index, response] of responses.entries())
      response.on("close", () => told.push(index));
    socket.destroy();
    await until(() => guard.stats().sessions === 0 && told.length === 3);
    await pass(time, 1000);
    expect(told.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    expect(guard.stats().usedBytes).toBe(0);
  });
});
