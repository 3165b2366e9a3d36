import { once } from "node:events";
import { createServer } from "node:net";
import type { LookupFunction } from "node:net";
import { expect, test } from "vitest";
import { AddressNotAllowedError, ConnectionPool, publicAddressesOnly } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

/** A name server that answers with these addresses, whatever the name. */
function resolvingTo(...addresses: string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  return (_hostname, options, callback) => {
    if (options.all === true) callback(null, found);
    else callback(null, found[0]?.address ?? "", found[0]?.family);
  };
}

const single: LookupFunction = (_hostname, _options, callback) => callback(null, "127.0.0.1", 4);

const noName: LookupFunction = (_hostname, _options, callback) =>
  callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), []);

async function outcome(
  server: TestServer,
  host: string,
  options: ConnectionPoolOptions,
): Promise<Error | string> {
  const origin = server.origin.replace("127.0.0.1", host);
  await using pool = new ConnectionPool(origin, options);
  return text(pool.fetch(origin)).catch((error: Error) => error);
}

test("an address that is not allowed is refused before anything is connected", async () => {
  await using server = await new TestServer().start();
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    const error = await outcome(server, host, { allowAddress: publicAddressesOnly });
    expect(error).toBeInstanceOf(AddressNotAllowedError);
    expect(error).toMatchObject({ code: "HTTP_POOL_ADDRESS_NOT_ALLOWED" });
  }
  expect(server.sockets).toBe(0);
});

test("a public name that resolves to a private address is refused", async () => {
  await using server = await new TestServer().start();
  const options = { allowAddress: publicAddressesOnly };
  const rebinding = { ...options, lookup: resolvingTo("127.0.0.1") };
  const mixed = { ...options, lookup: resolvingTo("::1", "169.254.169.254", "127.0.0.1") };
  expect(await outcome(server, "public.test", rebinding)).toBeInstanceOf(AddressNotAllowedError);
  expect(await outcome(server, "public.test", mixed)).toBeInstanceOf(AddressNotAllowedError);
  expect(server.sockets).toBe(0);
});

function onlyFirstLoopback(address: string): boolean {
  return address === "127.0.0.1";
}

// Elsewhere 127.0.0.2 is not an address of the machine.
test.runIf(process.platform === "linux")(
  "of several addresses only the allowed ones are connected to",
  async () => {
    await using server = await new TestServer().start();
    let refusedSockets = 0;
    const refused = createServer(() => (refusedSockets += 1));
    refused.listen(Number(new URL(server.origin).port), "127.0.0.2");
    await once(refused, "listening");
    const lookup = resolvingTo("127.0.0.2", "127.0.0.1");
    expect(await outcome(server, "some.test", { allowAddress: onlyFirstLoopback, lookup })).toBe(
      "ok",
    );
    expect(refusedSockets).toBe(0);
    refused.close();
  },
);

test("a lookup that answers with one address is guarded too", async () => {
  await using server = await new TestServer().start();
  const tls = { autoSelectFamily: false } as object;
  const allowed = { lookup: single, tls, allowAddress: () => true };
  const refused = { lookup: single, tls, allowAddress: publicAddressesOnly };
  expect(await outcome(server, "some.test", allowed)).toBe("ok");
  expect(await outcome(server, "some.test", refused)).toBeInstanceOf(AddressNotAllowedError);
});

test("the peer itself is asked for last", async () => {
  await using server = await new TestServer().start();
  let asked = 0;
  const onlyAtFirst = (): boolean => (asked += 1) === 1;
  const error = await outcome(server, "127.0.0.1", { allowAddress: onlyAtFirst });
  expect(error).toBeInstanceOf(AddressNotAllowedError);
  expect(server.requests).toBe(0);
  await server.accepted(1);
  await server.idle();
});

test("a guard or a lookup that fails refuses", async () => {
  await using server = await new TestServer().start();
  const thrown = new Error("guard is broken");
  const broken = (): never => {
    throw thrown;
  };
  const lookup = resolvingTo("127.0.0.1");
  for (const host of ["127.0.0.1", "some.test"]) {
    const error = await outcome(server, host, { allowAddress: broken, lookup });
    expect(error).toMatchObject({ code: "HTTP_POOL_ADDRESS_NOT_ALLOWED" });
    expect(error).toHaveProperty("cause", thrown);
  }
  const options = { allowAddress: () => true, lookup: noName };
  expect(await outcome(server, "some.test", options)).toMatchObject({
    cause: { code: "ENOTFOUND" },
  });
  expect(server.sockets).toBe(0);
});

test("a connection that does not come up within connectTimeoutMs is an error", async () => {
  await using server = await new TestServer().start();
  // The name server never answers.
  const options = { connectTimeoutMs: 20, lookup: () => undefined };
  const error = await outcome(server, "some.test", options);
  expect(error).toMatchObject({
    code: "HTTP_POOL_UPSTREAM_UNAVAILABLE",
    cause: { code: "UND_ERR_CONNECT_TIMEOUT" },
  });
});

test("a request that gives up while it connects leaves nothing behind", async () => {
  await using server = await new TestServer().start();
  await using pool = new ConnectionPool(server.origin);
  const controller = new AbortController();
  const streaming = rejection(
    pool.fetch(server.origin, { lane: "stream", signal: controller.signal }),
  );
  expect(pool.stats().streams).toBe(1);
  controller.abort();
  expect(await streaming).toMatchObject({ name: "AbortError" });
  expect(pool.stats()).toMatchObject({ streams: 0, created: 0, connectErrors: 0 });
  const again = new AbortController();
  const last = rejection(pool.fetch(server.origin, { lane: "stream", signal: again.signal }));
  const closed = pool.close();
  again.abort();
  expect(await last).toMatchObject({ name: "AbortError" });
  await closed;
});

test("a resolver that says undefined where nothing is wrong is guarded too", async () => {
  await using server = await new TestServer().start();
  const lookup = ((_hostname: string, _options: object, callback: (...args: unknown[]) => void) => {
    callback(undefined, [{ address: "127.0.0.1", family: 4 }]);
  }) as unknown as LookupFunction;
  const options = { lookup, allowAddress: publicAddressesOnly };
  expect(await outcome(server, "rebind.test", options)).toBeInstanceOf(AddressNotAllowedError);
  expect(server.sockets).toBe(0);
});
