import { execFile } from "node:child_process";
import { createServer } from "node:net";
import type { AddressInfo, LookupFunction } from "node:net";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import {
  AddressNotAllowedError,
  PoolAgent,
  publicAddressesOnly,
  RedirectError,
} from "../src/index.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const index = new URL("../src/index.ts", import.meta.url).href;

/** Every way to write an address that leads to this machine, its network or its cloud. */
const HOSTS = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "2130706433",
  "0x7f000001",
  "0x7f.0x0.0x0.0x1",
  "017700000001",
  "0177.0.0.01",
  "127.0.0.1.",
  "１２７.０.０.１",
  "127。0。0。1",
  "localhost",
  "LOCALHOST",
  "0",
  "0.0.0.0",
  "[::]",
  "[::1]",
  "[0:0:0:0:0:0:0:1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::127.0.0.1]",
  "[64:ff9b::127.0.0.1]",
  "[64:ff9b::7f00:1]",
  "[64:ff9b:1::7f00:1]",
  "[2002:7f00:1::]",
  "[2002:a9fe:a9fe::1]",
  "[fe80::1]",
  "[fc00::1]",
  "[fec0::1]",
  "[ff02::1]",
  "169.254.169.254",
  "2852039166",
  "0xA9FEA9FE",
  "[fd00:ec2::254]",
  "100.100.100.200",
  "168.63.129.16",
  "192.168.0.1",
  "10.0.0.1",
  "172.31.255.255",
  "224.0.0.1",
  "255.255.255.255",
];

test.each(HOSTS)(
  "%s is refused before a socket is opened, directly and after a redirect",
  async (host) => {
    await using server = await new TestServer().start();
    const { port } = new URL(server.origin);
    const target = `http://${host}:${port}/`;
    await using agent = new PoolAgent({ allowAddress: publicAddressesOnly });
    const opened: unknown[] = [];
    agent.on("open", (event) => opened.push(event));
    expect(await rejection(agent.fetch(target))).toBeInstanceOf(AddressNotAllowedError);
    expect(opened).toEqual([]);
    expect(server.sockets).toBe(0);

    await using outer = await new TestServer((_request, response) => {
      // As bytes: a header of Node's has no others.
      const location = Buffer.from(target).toString("latin1");
      response.writeHead(307, { location }).end();
    }).start();
    const outerPort = new URL(outer.origin).port;
    // The first server stands for one on the Internet; its own address is let through once.
    let first = 2;
    const allowAddress = (address: string): boolean =>
      publicAddressesOnly(address) || (address === "127.0.0.1" && (first -= 1) >= 0);
    await using redirected = new PoolAgent({ allowAddress });
    const failed = await rejection(redirected.fetch(`http://127.0.0.1:${outerPort}/`));
    // In a header, what is not ASCII is no host name at all.
    const ascii = /^[!-~]+$/.test(host);
    expect(failed).toBeInstanceOf(ascii ? AddressNotAllowedError : RedirectError);
    expect(outer.requests).toBe(1);
    expect(server.sockets).toBe(0);
  },
);

test.each(["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1%lo]/"])(
  "%s, with a zone, is not even a URL",
  async (url) => {
    await using agent = new PoolAgent({ allowAddress: publicAddressesOnly });
    expect(await rejection(agent.fetch(url))).toMatchObject({ code: "HTTP_POOL_INVALID_ARGUMENT" });
  },
);

/** A guard that takes 127.0.0.2 for an address of the Internet. */
function onlySecondLoopback(address: string): boolean {
  return address === "127.0.0.2";
}

// Elsewhere 127.0.0.2 is not an address of the machine.
test.runIf(process.platform === "linux")(
  "a name that is rebound after it was checked is checked again at the next connection",
  async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("connection", "close").end("ok");
    }).start();
    const { port } = new URL(server.origin);
    const answers = ["127.0.0.2", "127.0.0.1"];
    const lookup: LookupFunction = (_name, options, callback) => {
      const address = answers.shift() ?? "127.0.0.1";
      if (options.all === true) callback(null, [{ address, family: 4 }]);
      else callback(null, address, 4);
    };
    let reached = 0;
    const other = createServer((socket) => {
      reached += 1;
      socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    });
    other.listen(0, "127.0.0.2");
    await new Promise((resolve) => other.once("listening", resolve));
    const outside = (other.address() as AddressInfo).port;
    await using agent = new PoolAgent({ allowAddress: onlySecondLoopback, pool: { lookup } });
    const closed = times(agent, "close", 1);
    expect(await text(agent.fetch(`http://rebound.test:${outside}/`))).toBe("ok");
    await closed;
    // Now the name leads to the server inside.
    expect(await rejection(agent.fetch(`http://rebound.test:${port}/`))).toBeInstanceOf(
      AddressNotAllowedError,
    );
    expect(await rejection(agent.fetch(`http://rebound.test:${outside}/`))).toBeInstanceOf(
      AddressNotAllowedError,
    );
    expect({ reached, inside: server.sockets }).toEqual({ reached: 1, inside: 0 });
    other.close();
  },
);

test("a redirect to something else than http is refused", async () => {
  for (const location of [
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1/",
    "data:,x",
    "javascript:1",
  ]) {
    await using server = await new TestServer((_request, response) => {
      response.writeHead(302, { location }).end();
    }).start();
    await using agent = new PoolAgent();
    expect(await rejection(agent.fetch(server.origin))).toMatchObject({
      code: "HTTP_POOL_REDIRECT",
    });
  }
});

test("a proxy of the environment is not used: the guard sees the address that is connected to", async () => {
  await using proxy = await new TestServer((_request, response) => response.end("proxied")).start();
  await using server = await new TestServer().start();
  const script = `
    import { ConnectionPool, PoolAgent, publicAddressesOnly } from ${JSON.stringify(index)};
    const url = ${JSON.stringify(server.origin)};
    const pool = new ConnectionPool(url);
    const lean = await (await pool.fetch(url)).text();
    const builtin = await (await fetch(url, { dispatcher: pool })).text();
    const guarded = new PoolAgent({ allowAddress: publicAddressesOnly });
    const refused = await guarded.fetch(url).catch((error) => error.code);
    console.log(JSON.stringify({ lean, builtin, refused }));`;
  const proxies = Object.fromEntries(
    ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map((name) => [name, proxy.origin]),
  );
  const env = { ...process.env, ...proxies, NODE_USE_ENV_PROXY: "1", NO_PROXY: "", no_proxy: "" };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", script],
    { env },
  );
  expect(JSON.parse(stdout)).toEqual({
    lean: "ok",
    builtin: "ok",
    refused: "HTTP_POOL_ADDRESS_NOT_ALLOWED",
  });
  expect(proxy.sockets).toBe(0);
});

test.each<[string, () => unknown]>([
  ["a promise of yes", async () => Promise.resolve(true)],
  ["a promise of no", async () => Promise.resolve(false)],
  ["a word", () => "no"],
  ["a number", () => 1],
  ["nothing", () => undefined],
])("a guard that returns %s refuses", async (_name, guard) => {
  await using server = await new TestServer().start();
  const url = new URL(server.origin);
  await using agent = new PoolAgent({ allowAddress: guard as () => boolean });
  for (const host of ["127.0.0.1", "localhost"]) {
    url.hostname = host;
    expect(await rejection(agent.fetch(url))).toMatchObject({
      code: "HTTP_POOL_ADDRESS_NOT_ALLOWED",
    });
  }
  expect(server.requests).toBe(0);
});
