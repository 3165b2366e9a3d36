// A bulk endpoint as it is met in the wild: a call has a price of its own, bodies have a limit (413), and so has the number of
// calls at once (429). Sends its port to the parent.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const maxBodyBytes = 64 * 1024;
const maxCalls = 8;
const callMs = 8;
let running = 0;

const server = createServer((request, response) => {
  if (running >= maxCalls) {
    request.resume();
    response.writeHead(429, { "retry-after": "0.01" }).end();
    return;
  }
  running += 1;
  void serve(request, response).finally(() => (running -= 1));
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (Number(request.headers["content-length"]) > maxBodyBytes) {
    request.resume();
    response.writeHead(413).end();
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const items = JSON.parse(Buffer.concat(chunks).toString()) as { id: number }[];
  await new Promise((resolve) => setTimeout(resolve, callMs));
  response.end(JSON.stringify(items.map(({ id }) => id)));
}
