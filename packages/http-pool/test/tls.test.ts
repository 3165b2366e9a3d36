import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { ConnectionPool, UpstreamGroup, UpstreamUnavailableError } from "../src/index.ts";
import { certificate } from "./helpers/certificate.ts";
import { rejection, text } from "./helpers/outcome.ts";

async function startTls(): Promise<{
  readonly origin: string;
  readonly names: unknown[];
  readonly hosts: unknown[];
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const names: unknown[] = [];
  const hosts: unknown[] = [];
  const server = createServer(certificate, (request, response) => {
    hosts.push(request.headers.host);
    response.end("ok");
  });
  server.on("secureConnection", (socket: TLSSocket) => names.push(socket.servername));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    origin: `https://localhost:${port}`,
    names,
    hosts,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const trusted = { tls: { ca: certificate.cert } };

test("connections over TLS are reused", async () => {
  await using server = await startTls();
  await using pool = new ConnectionPool(server.origin, trusted);
  for (let count = 0; count < 5; count += 1) await text(pool.fetch(server.origin));
  expect(server.names).toEqual(["localhost"]);
  expect(pool.stats()).toMatchObject({ created: 1, requests: 5 });
  expect(await pool.healthCheck()).toMatchObject({ ok: true });
});

test("another Host header neither changes the TLS name nor costs a connection", async () => {
  await using server = await startTls();
  await using pool = new ConnectionPool(server.origin, trusted);
  for (const host of ["localhost", "other.test", "localhost"])
    await text(pool.fetch(server.origin, { headers: { host } }));
  expect(server.hosts).toEqual(["localhost", "other.test", "localhost"]);
  expect(server.names).toEqual(["localhost"]);
});

test("a certificate that is not trusted is an error before anything is sent", async () => {
  await using server = await startTls();
  await using pool = new ConnectionPool(server.origin);
  const error = await rejection(pool.fetch(server.origin));
  expect(error).toBeInstanceOf(UpstreamUnavailableError);
  expect(error).toMatchObject({ cause: { code: "DEPTH_ZERO_SELF_SIGNED_CERT" } });
  expect(server.hosts).toEqual([]);
});

test("an address in place of a name works with its own TLS name", async () => {
  await using server = await startTls();
  const origin = server.origin.replace("localhost", "127.0.0.1");
  const tls = { ca: certificate.cert, servername: "other.test" };
  await using pool = new ConnectionPool(origin, { tls });
  expect(await text(pool.fetch(origin))).toBe("ok");
  expect(await text(pool.fetch(origin))).toBe("ok");
  expect(server.names).toEqual(["other.test"]);
});

test("a group whose origin is an address sends no TLS name, and one with a name does", async () => {
  await using server = await startTls();
  const upstream = server.origin.replace("localhost", "127.0.0.1");
  const warnings: Error[] = [];
  const warn = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warn);
  for (const origin of ["https://127.0.0.1", "https://[::1]", "https://localhost"]) {
    const tls = { ...trusted.tls, rejectUnauthorized: false };
    await using group = new UpstreamGroup([upstream], { origin, pool: { tls } });
    expect(await text(group.fetch(origin))).toBe("ok");
  }
  process.off("warning", warn);
  expect(server.hosts).toEqual(["127.0.0.1", "[::1]", "localhost"]);
  expect(server.names).toEqual([false, false, "localhost"]);
  expect(warnings).toEqual([]);
});
