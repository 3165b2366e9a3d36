import { createServer as createHttp } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import { connect as connectTcp } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { certificate } from "./certificate.ts";
import { FakeTime, settle } from "./fake-time.ts";
import { until } from "./mcp-http.ts";

const MIB = 1 << 20;
const LARGE = new Uint8Array(24 * MIB);
const TIMEOUT_MS = 1000;
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

interface Handle {
  readonly writeQueueSize: number;
  readonly _parent?: Handle;
}

/** Bytes that wait for the system to take them, below TLS. */
function queueOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle: Handle | null };
  const { _parent: below = handle } = handle ?? {};
  return below?.writeQueueSize ?? 0;
}

test.each(["http", "https"])(
  "over %s a reader of one large chunk that takes a part within each timeout gets all of it, and one that stops is cut",
  async (scheme) => {
    const secure = scheme === "https";
    const time = new FakeTime();
    const { now, schedule } = time;
    const guard = new StreamGuard({
      now,
      schedule,
      sessionMaxMemoryBytes: 64 * MIB,
      stallTimeoutMs: TIMEOUT_MS,
      sweepIntervalMs: 100,
    });
    const written: {
      readonly session: StreamingSession;
      readonly socket: Socket;
      readonly result: Promise<unknown>;
    }[] = [];
    const handle = ({ socket }: IncomingMessage, response: ServerResponse): void => {
      const session = guard.open();
      const source = (async function* () {
        yield LARGE;
      })();
      const done = session.writeTo(response, source, { drainTimeoutMs: TIMEOUT_MS });
      const result = done.then(
        ({ bytes }) => bytes,
        (error: { readonly code: string }) => error.code,
      );
      written.push({ session, socket, result });
    };
    const server = secure ? createHttps(certificate, handle) : createHttp(handle);
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const { port } = server.address() as AddressInfo;
    const ask = (): Socket => {
      const at = { port, host: "127.0.0.1" };
      const client = secure ? connectTls({ ...at, rejectUnauthorized: false }) : connectTcp(at);
      cleanups.push(() => client.destroy());
      client.on("error", () => {}).on("readable", () => {});
      client.write("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
      return client;
    };
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const client = ask();
    await until(() => written.length === 1);
    const [{ session, socket, result }] = written as [(typeof written)[0]];
    let steps = 0;
    const state = { over: false };
    void result.then(() => (state.over = true));
    while (!state.over) {
      const queued = queueOf(socket);
      await until(() => {
        client.read();
        return state.over || queueOf(socket) < queued;
      });
      time.advance(TIMEOUT_MS * 0.9);
      await settle();
      steps += 1;
    }
    expect(steps).toBeGreaterThan(3);
    expect(await result).toBe(LARGE.byteLength);
    expect(session.closeReason).toBe(undefined);

    ask();
    await until(() => written.length === 2);
    for (let turn = 0; turn < 200; turn += 1) await settle();
    for (let step = 0; step < 30; step += 1) {
      time.advance(100);
      await settle();
    }
    expect(await written[1]?.result).toMatch(/STALLED|DRAIN_TIMEOUT/u);
  },
);
