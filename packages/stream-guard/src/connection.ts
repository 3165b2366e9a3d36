import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { connectionOf } from "./taken-bytes.ts";

interface Sharer {
  readonly response: ServerResponse;
  readonly onCut: () => void;
}

/** Several responses share a socket when a client asks again before it was answered. */
const sharers = new WeakMap<Socket, Set<Sharer>>();

/** Has `onCut` called when the connection of `response` is cut or closes before the response did. */
export function shareConnection(response: ServerResponse, onCut: () => void): void {
  const socket = connectionOf(response);
  if (socket === undefined) return;
  const sharer: Sharer = { response, onCut };
  const others = sharers.get(socket) ?? follow(socket);
  others.add(sharer);
  response.once("close", () => others.delete(sharer));
}

/**
 * Destroys a response for good: one that waits for its turn on the connection would keep what it
 * buffers until then, so the connection goes, and with it every response on it. With `reset` the
 * system does not wait for the reader to take what it holds either.
 */
export function cutConnection(response: ServerResponse, reset: boolean): void {
  const socket = connectionOf(response);
  if (reset && socket !== undefined) resetSocket(socket);
  response.destroy();
  if (socket === undefined) return;
  socket.destroy();
  for (const { onCut } of sharers.get(socket) ?? []) onCut();
}

function follow(socket: Socket): Set<Sharer> {
  const all = new Set<Sharer>();
  sharers.set(socket, all);
  socket.once("close", () => {
    for (const { onCut } of all) onCut();
    setImmediate(closeQueued, all);
  });
  return all;
}

/** Node 22 tells responses that were still waiting for their turn nothing of the end of their connection. */
function closeQueued(all: ReadonlySet<Sharer>): void {
  for (const { response } of all) {
    if (response.closed || response.socket !== null) continue;
    response.destroy();
    response.emit("close");
  }
}

function resetSocket(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    // Only TCP can be reset.
    socket.destroy();
  }
}
