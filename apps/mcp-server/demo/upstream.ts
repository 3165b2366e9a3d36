import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const page = "A page of a web site. ".repeat(200);

const server = createServer((_request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(page);
}).listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
process.once("SIGTERM", () => process.exit(0));
