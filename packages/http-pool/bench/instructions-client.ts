// Sends GETs, so many at a time: first until its code is compiled, then a number that is counted. `getPriority` is where
// callgrind begins to count, and ends (see tools/bench/callgrind.ts).
import { getPriority } from "node:os";
import { createClient } from "./clients.ts";
import type { ClientName } from "./clients.ts";

/** It comes to rest and begins again while it warms up, or V8 would compile anew what it has not seen before while it counts. */
const WARM_UP_TURNS = 20;

const [name, origin, connections, warmUpRequests, requests] = process.argv.slice(2) as [
  ClientName,
  string,
  string,
  string,
  string,
];
const client = createClient({ name, origin, connections: Number(connections) });
for (let turn = 0; turn < WARM_UP_TURNS; turn += 1)
  await send(Number(warmUpRequests) / WARM_UP_TURNS);
getPriority();
await send(Number(requests));
getPriority();
process.exit();

async function send(count: number): Promise<void> {
  let left = count;
  const sendOn = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = (error?: unknown): void => {
        if (error !== undefined)
          reject(
            error instanceof Error ? error : new Error("the request failed", { cause: error }),
          );
        else if (left <= 0) resolve();
        else {
          left -= 1;
          client.send(next);
        }
      };
      next();
    });
  await Promise.all(Array.from({ length: Number(connections) }, sendOn));
}
