// The clients of a soak, in a process of their own so that their memory is not the server's.
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { setTimeout } from "node:timers/promises";
import { CHUNKS, CHUNK_BYTES, STALL_TIMEOUT_MS } from "./live-protocol.ts";
import type { Kind, LoadRequest, LoadResult } from "./live-protocol.ts";
import { seededRandom } from "./random.ts";

/** A response that has not ended by then never will. */
const PATIENCE_MS = 20_000;
const SLOW_MS = 5;
const STALL_MS = 2.5 * STALL_TIMEOUT_MS;

process.on("message", (message) => void load(message as LoadRequest));
process.on("disconnect", () => process.exit());
process.on("SIGINT", () => {});

async function load({ origin, rate, durationMs, seed }: LoadRequest): Promise<void> {
  const random = seededRandom(seed);
  const begun: Record<Kind, number> = { reads: 0, slow: 0, aborts: 0, stalls: 0 };
  const count = Math.max(1, Math.round((rate * durationMs) / 1000));
  const startedAt = performance.now();
  const responses: Promise<boolean>[] = [];
  for (let index = 0; index < count; index += 1) {
    const dueMs = (index * 1000) / rate - (performance.now() - startedAt);
    if (dueMs > 0) await setTimeout(dueMs);
    const kind = kindOf(random());
    begun[kind] += 1;
    responses.push(take(origin, kind).catch(() => kind === "aborts" || kind === "stalls"));
  }
  const ended = await Promise.all(responses);
  const broken = ended.filter((whole) => !whole).length;
  process.send?.({ begun, broken, chunks: count * CHUNKS } satisfies LoadResult);
}

function kindOf(random: number): Kind {
  if (random < 0.8) return "reads";
  if (random < 0.88) return "slow";
  return random < 0.96 ? "aborts" : "stalls";
}

/** True when the response ended as its kind should. */
async function take(origin: string, kind: Kind): Promise<boolean> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await open(`${origin}/${kind}`, signal);
  if (kind === "stalls") return stall(response);
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Uint8Array).byteLength;
    if (kind === "aborts") break;
    if (kind === "slow") await setTimeout(SLOW_MS);
  }
  return kind === "aborts" || bytes === CHUNKS * CHUNK_BYTES;
}

function open(url: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, { agent: false, signal }, resolve).on("error", reject).end();
  });
}

/** Reads nothing for long enough to be given up by the server; a socket that is not read does not hear of it. */
async function stall(response: IncomingMessage): Promise<boolean> {
  response.on("error", () => {});
  await setTimeout(STALL_MS);
  response.destroy();
  return true;
}
