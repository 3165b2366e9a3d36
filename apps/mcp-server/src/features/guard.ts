import type { ServerResponse } from "node:http";
import { StreamGuard, type StreamingSession } from "@mcp-accel/stream-guard";
import { guardResponse, guardTransport } from "@mcp-accel/stream-guard/mcp";
import type { Config } from "../config/options.ts";
import type { Host } from "../host/host.ts";
import type { ExportService } from "../tools/services.ts";
import type { Feature } from "./feature.ts";
import { exportTooLarge } from "./plain.ts";

type HostGuards = Pick<Host, "guardResponse" | "guardTransport">;

/** A stdio server has one client, who may be held in a debugger, and denies nobody else anything. */
const STDIO_STALL_TIMEOUT_MS = 2 ** 31 - 1;

/** Exports, responses and the stdio connection within a budget of memory; a reader that falls behind is cut off. */
export function guardFeature(
  config: Config,
  maxResultBytes: number,
): Feature & ExportService & HostGuards {
  const guard = new StreamGuard({
    maxMemoryBytes: config["guard.maxMemoryBytes"],
    sessionMaxMemoryBytes: config["guard.streamMaxMemoryBytes"],
    stallTimeoutMs: config["guard.stallTimeoutMs"],
    maxSessions: config["http.maxRequests"],
  });
  return {
    stream: async (chunks, consume, signal) => {
      await withSession(guard, signal, async (session) => {
        // Who is slow here is the response's reader, whom the response's own session watches.
        const delivery = session.begin();
        try {
          for await (const group of session.pipe(chunks))
            for (const chunk of group) await consume(chunk);
        } finally {
          delivery[Symbol.dispose]();
        }
      });
    },
    collect: async (chunks, signal) =>
      withSession(guard, signal, (session) => collect(session, chunks, maxResultBytes)),
    guardResponse: (response: ServerResponse) => {
      const { admit } = guardResponse(response, guard);
      return { waitForRoom: (bytes, signal) => admit(bytes, { signal }) };
    },
    guardTransport: (transport, destination) =>
      guardTransport(transport, guard, {
        destination,
        stallTimeoutMs: STDIO_STALL_TIMEOUT_MS,
      }),
    stats: () => guard.stats(),
    collectables: [guard],
    [Symbol.asyncDispose]: () => guard.close(),
  };
}

async function withSession<T>(
  guard: StreamGuard,
  signal: AbortSignal,
  work: (session: StreamingSession) => Promise<T>,
): Promise<T> {
  const session = guard.open({ signal });
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Every byte is reserved before it is kept, and held until the session closes. */
async function collect(
  session: StreamingSession,
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const chunk of chunks) {
    if (session.memoryUsageBytes + chunk.byteLength > maxBytes) throw exportTooLarge(maxBytes);
    session.reserve(chunk.byteLength);
    kept.push(chunk);
  }
  return Buffer.concat(kept).toString("utf8");
}
