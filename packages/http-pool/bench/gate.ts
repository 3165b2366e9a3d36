// The hot paths whose instructions are counted against a baseline (`npm run gate`). The sockets are made up, since the kernel
// decides when real ones are ready.
import net from "node:net";
import { Duplex } from "node:stream";
import { ConnectionPool, UpstreamGroup } from "@mcp-accel/http-pool";
import type { Dispatcher } from "undici";

const ANSWER = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
const now = (): number => 1_000;

/** Answers whatever is written to it. */
class AnsweringSocket extends Duplex {
  readonly remoteAddress = "127.0.0.1";

  constructor() {
    super();
    process.nextTick(() => this.emit("connect"));
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
    process.nextTick(() => this.push(ANSWER));
  }

  setKeepAlive = (): this => this;
  setNoDelay = (): this => this;
  setTimeout = (): this => this;
  ref = (): this => this;
  unref = (): this => this;
}

net.connect = (() => new AnsweringSocket()) as unknown as typeof net.connect;

const pool = new ConnectionPool("http://replica.test", { maxConnections: 10, now });
const group = new UpstreamGroup(
  ["a", "b", "c"].map((name) => `http://${name}.test`),
  { now, random: () => 0.5 },
);

export const operations = {
  "ConnectionPool, a GET of 10 at a time": {
    iterations: 10_000,
    run: (iterations: number): Promise<void> => getMany(pool, pool.upstream, iterations),
  },
  "UpstreamGroup, a GET of 10 at a time": {
    iterations: 10_000,
    run: (iterations: number): Promise<void> => getMany(group, group.origin, iterations),
  },
};

async function getMany(dispatcher: Dispatcher, origin: string, count: number): Promise<void> {
  let left = count;
  const sendOn = async (): Promise<void> => {
    while (left-- > 0) await get(dispatcher, origin);
  };
  await Promise.all(Array.from({ length: 10 }, sendOn));
}

function get(dispatcher: Dispatcher, origin: string): Promise<void> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(
      { origin, path: "/", method: "GET" },
      {
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: () => {},
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}
