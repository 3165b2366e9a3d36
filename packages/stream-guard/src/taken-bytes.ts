import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import type { ReaderWait } from "./reader.ts";

/** What Node's own socket timeout looks at to tell a slow write from a dead one. */
interface StreamHandle {
  readonly bytesWritten?: unknown;
  readonly writeQueueSize?: unknown;
  /** Below TLS, which takes all it is given at once. */
  readonly _parent?: StreamHandle | null;
}

/** The socket of a response, also while earlier responses still have it; undefined for other writables. */
export function connectionOf(writable: Writable | ServerResponse): Socket | undefined {
  return (writable as Partial<ServerResponse>).req?.socket;
}

/**
 * Bytes that the system has taken from a socket, a pipe or a response's socket, part of a chunk
 * included; undefined when that cannot be known.
 */
export function takenBytes(writable: Writable | ServerResponse): number | undefined {
  const { _handle: handle } = (connectionOf(writable) ?? writable) as {
    readonly _handle?: StreamHandle | null;
  };
  const { _parent: below } = handle ?? {};
  const { bytesWritten, writeQueueSize } = below ?? handle ?? {};
  if (typeof bytesWritten !== "number" || typeof writeQueueSize !== "number") return undefined;
  return bytesWritten - writeQueueSize;
}

/** A response that is not the first on its connection is blocked only if the connection is. */
export function waitOf(writable: Writable | ServerResponse): ReaderWait {
  return connectionOf(writable)?.writableLength === 0 ? "behind" : "blocked";
}
