// Sends a number of GETs, so many at a time, and ends: run under callgrind, which counts what the whole process does.
import { createClient } from "./clients.ts";
import type { ClientName } from "./clients.ts";

const [name, origin, connections, requests] = process.argv.slice(2) as [
  ClientName,
  string,
  string,
  string,
];
const client = createClient({ name, origin, connections: Number(connections) });
let left = Number(requests);
await Promise.all(Array.from({ length: Number(connections) }, sendOn));
process.exit();

function sendOn(): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (error?: unknown): void => {
      if (error !== undefined)
        reject(error instanceof Error ? error : new Error("the request failed", { cause: error }));
      else if (left <= 0) resolve();
      else {
        left -= 1;
        client.send(next);
      }
    };
    next();
  });
}
