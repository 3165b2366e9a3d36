import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { IncomingMessage, RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { scrapeHandler } from "../src/handler.ts";
import { Metrics } from "../src/index.ts";
import { OPENMETRICS } from "./components.ts";
import { parseExposition } from "./parse-exposition.ts";

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function ask(port: number, method: string, accept?: string): Promise<Answer> {
  const headers = accept === undefined ? {} : { accept };
  const request = httpRequest({ port, host: "127.0.0.1", method, headers }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const chunks = await response.toArray();
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(chunks).toString(),
  };
}

async function fails(): Promise<never> {
  throw new Error("secret");
}

describe("exposition: over HTTP", () => {
  test("GET answers in the format that is asked for", async () => {
    using metrics = new Metrics();
    const port = await serve(metrics.handler());
    const text = await ask(port, "GET");
    expect(text.status).toBe(200);
    expect(text.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(text.headers["cache-control"]).toBe("no-store");
    parseExposition(text.body, "prometheus");
    const open = await ask(port, "GET", OPENMETRICS);
    expect(open.headers["content-type"]).toContain("application/openmetrics-text");
    expect(open.headers.vary).toBe("accept");
    parseExposition(open.body, "openmetrics");
    expect(metrics.stats().scrapes).toBe(2);
  });

  test("HEAD has the headers and no body", async () => {
    using metrics = new Metrics({ runtime: false });
    const port = await serve(metrics.handler());
    const { body: full } = await ask(port, "GET");
    const { status, headers, body } = await ask(port, "HEAD");
    expect({ status, body }).toEqual({ status: 200, body: "" });
    expect(headers["content-length"]).toBe(String(Buffer.byteLength(full)));
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("%s is not allowed", async (method) => {
    using metrics = new Metrics({ runtime: false });
    const { status, headers } = await ask(await serve(metrics.handler()), method);
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: "GET, HEAD" });
    expect(metrics.stats().scrapes).toBe(0);
  });

  test("closed metrics answer 503", async () => {
    const metrics = new Metrics({ runtime: false });
    const port = await serve(metrics.handler());
    metrics.close();
    expect(await ask(port, "GET")).toMatchObject({ status: 503, body: "Metrics are closed\n" });
  });

  test("an exposition that fails answers 500 and tells nothing of the error", async () => {
    const port = await serve(scrapeHandler(fails, () => false));
    const { status, body } = await ask(port, "GET");
    expect(status).toBe(500);
    expect(body).not.toContain("secret");
  });

  test("a client that left before the answer breaks nothing", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { promise: gone, resolve: left } = Promise.withResolvers<void>();
    const { promise: asked, resolve: arrived } = Promise.withResolvers<void>();
    const handler = scrapeHandler(
      async () => {
        arrived();
        await promise;
        return { contentType: "text/plain", body: "late" };
      },
      () => false,
    );
    const port = await serve((request, response) => {
      response.once("close", left);
      handler(request, response);
    });
    const request = httpRequest({ port, host: "127.0.0.1" }).end();
    request.on("error", () => undefined);
    await asked;
    request.destroy();
    await gone;
    resolve();
    await new Promise(setImmediate);
    using metrics = new Metrics({ runtime: false });
    expect((await ask(await serve(metrics.handler()), "GET")).status).toBe(200);
  });

  test("a response that somebody has already answered is left alone", async () => {
    using metrics = new Metrics({ runtime: false });
    const handler = metrics.handler();
    const port = await serve((request, response) => {
      response.end("mine");
      handler(request, response);
    });
    expect((await ask(port, "POST")).body).toBe("mine");
    expect((await ask(port, "GET")).body).toBe("mine");
  });

  test("a response that throws is destroyed", () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const handler = scrapeHandler(
      async () => ({ contentType: "text/plain", body: "" }),
      () => false,
    );
    const response = {
      headersSent: false,
      destroyed: false,
      writeHead: () => {
        throw new Error("broken");
      },
      destroy: resolve,
    };
    expect(() => handler({ method: "GET", headers: {} } as never, response as never)).not.toThrow();
    return promise;
  });
});
