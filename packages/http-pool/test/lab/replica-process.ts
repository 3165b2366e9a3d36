// One upstream in a process of its own; its parent tells it how to behave, and asks what it has seen.
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Behaviour, FromReplica, ToReplica } from "./replica-messages.ts";

let behaviour: Behaviour = { mode: "ok" };
let requests = 0;
let accepted = 0;

const server = createServer((request, response) => {
  requests += 1;
  request.resume();
  const delayMs = (behaviour.delayMs ?? 0) + Math.random() * (behaviour.jitterMs ?? 0);
  if (delayMs > 0) setTimeout(() => answer(response), delayMs);
  else answer(response);
});
server.on("connection", () => (accepted += 1));
server.keepAliveTimeout = 60_000;

function answer(response: ServerResponse): void {
  const { mode, status = 503 } = behaviour;
  if (mode === "reset") response.socket?.resetAndDestroy();
  else if (mode === "fail") response.writeHead(status).end("no");
  else if (mode === "stall-body") response.writeHead(200, { "content-length": "10" }).write("half ");
  else if (mode === "reset-body") {
    response.writeHead(200, { "content-length": "10" }).write("half ");
    setImmediate(() => response.socket?.resetAndDestroy());
  } else if (mode === "ok") response.end(String(process.pid));
}

process.on("message", (message: ToReplica) => {
  if (message.behave !== undefined) behaviour = message.behave;
  say({ reply: message.id, requests, accepted });
});
process.on("disconnect", () => process.exit());

server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  say({ port: (server.address() as AddressInfo).port });
});

function say(message: FromReplica): void {
  process.send?.(message);
}
