import { Readable } from "node:stream";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { BoundedLines } from "@mcp-accel/stream-guard/mcp";

export interface LongLine {
  readonly lineBytes: number;
  readonly chunkBytes: number;
  readonly aloneMs: number;
  readonly boundedMs: number;
}

/** How long a stdio transport of SDK v1 takes for one line that arrives in small pieces, by itself and behind `BoundedLines`. */
export async function longLine(lineBytes: number, chunkBytes: number): Promise<LongLine> {
  const chunks = lineInPieces(lineBytes, chunkBytes);
  const guard = new StreamGuard();
  const session = guard.open({ maxMemoryBytes: 3 * lineBytes });
  const bounded = new BoundedLines(source(chunks), session, { maxLineBytes: 2 * lineBytes });
  const boundedMs = await receive(bounded);
  const aloneMs = await receive(source(chunks));
  await guard.close();
  return { lineBytes, chunkBytes, aloneMs, boundedMs };
}

async function receive(input: Readable): Promise<number> {
  const transport = new StdioServerTransport(input);
  const received = new Promise<void>((resolve) => {
    transport.onmessage = () => {
      resolve();
    };
  });
  const startedAt = performance.now();
  await transport.start();
  await received;
  const tookMs = performance.now() - startedAt;
  await transport.close();
  return tookMs;
}

function lineInPieces(lineBytes: number, chunkBytes: number): readonly Buffer[] {
  const params = { fill: "x".repeat(lineBytes) };
  const line = Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", method: "note", params })}\n`);
  const count = Math.ceil(line.length / chunkBytes);
  return Array.from({ length: count }, (_, index) =>
    line.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  );
}

function source(chunks: readonly Buffer[]): Readable {
  return Readable.from(chunks, { objectMode: false });
}
