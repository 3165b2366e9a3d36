import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const body = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { text: "x".repeat(200) } });

const server = createServer((request, response) => {
  request.resume();
  response.setHeader("content-type", "application/json");
  response.end(body);
});

server.listen(0, "127.0.0.1", () => {
  process.send?.((server.address() as AddressInfo).port);
});
process.on("disconnect", () => process.exit());
