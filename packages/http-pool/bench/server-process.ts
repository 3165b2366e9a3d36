// A server that does as little as HTTP allows, so that the clients are what is measured.
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { certificate } from "../test/helpers/certificate.ts";
import { answer } from "./child.ts";
import { RESPONSE_BODY } from "./rpc.ts";
import type { ServerCommand, ServerCounts, ServerOptions } from "./server.ts";

const HEADERS = `content-type: application/json\r\ncontent-length: ${RESPONSE_BODY.length}\r\n\r\n`;
const OK = `HTTP/1.1 200 OK\r\n${HEADERS}${RESPONSE_BODY}`;
const UNAVAILABLE = `HTTP/1.1 503 Service Unavailable\r\n${HEADERS}${RESPONSE_BODY}`;

const { kind, port } = JSON.parse(process.argv[2] ?? "{}") as ServerOptions;
const counts = { connections: 0, requests: 0, open: 0, peakOpen: 0 };
let delayMs = 0;
let jitterMs = 0;
let failing = false;

const server = createKind();
server.on(kind === "tls" ? "secureConnection" : "connection", count);
server.listen({ port: port ?? 0, host: "127.0.0.1", backlog: 4096 }, () => {
  answer((server.address() as AddressInfo).port, obey);
});

function createKind(): Server {
  if (kind === "node")
    return createHttpServer((request, response) => {
      counts.requests += 1;
      request.resume();
      response.setHeader("content-type", "application/json");
      response.end(RESPONSE_BODY);
    });
  if (kind === "tls") return createTlsServer(certificate, serve);
  return createServer({ noDelay: true }, serve);
}

function count(socket: Socket): void {
  counts.connections += 1;
  counts.open += 1;
  counts.peakOpen = Math.max(counts.peakOpen, counts.open);
  socket.on("error", () => undefined);
  socket.on("close", () => {
    counts.open -= 1;
  });
}

function serve(socket: Socket): void {
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    let responses = "";
    for (let end = endOfRequest(received); end > 0; end = endOfRequest(received)) {
      received = received.slice(end);
      counts.requests += 1;
      responses += failing ? UNAVAILABLE : OK;
    }
    if (responses === "") return;
    const waitMs = delayMs + jitterMs * Math.random();
    if (waitMs > 0) setTimeout(() => socket.write(responses, "latin1"), waitMs);
    else socket.write(responses, "latin1");
  });
  socket.on("end", () => socket.end());
}

/** Where the first request ends; 0 when it is not complete. */
function endOfRequest(received: string): number {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1] ?? "0";
  const total = end + 4 + Number(length);
  return total <= received.length ? total : 0;
}

function obey(command: ServerCommand): ServerCounts {
  if (command.delayMs !== undefined) ({ delayMs } = command);
  if (command.jitterMs !== undefined) ({ jitterMs } = command);
  if (command.failing !== undefined) ({ failing } = command);
  const { user, system } = process.cpuUsage();
  return { ...counts, cpuMs: (user + system) / 1000 };
}
