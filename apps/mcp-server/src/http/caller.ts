import type { IncomingMessage } from "node:http";

/** Knows how much of a response its reader has not taken yet. */
export interface ResponseGate {
  /** Waits until that many bytes fit. Rejects when the reader does not make room in time, or with the signal's reason. */
  readonly waitForRoom: (bytes: number, signal: AbortSignal) => Promise<void>;
}

/** What the endpoint knows of a request's sender; both SDKs hand it to the handlers as `authInfo`. */
export interface Caller {
  readonly token: string;
  readonly clientId: string;
  readonly scopes: string[];
  readonly extra: { readonly gate: ResponseGate | undefined };
}

export function attachCaller(request: IncomingMessage, gate: ResponseGate | undefined): void {
  const caller: Caller = { token: "", clientId: "local", scopes: [], extra: { gate } };
  (request as IncomingMessage & { auth?: Caller }).auth = caller;
}

/** What a notification adds to its message on the wire. */
const FRAME_BYTES = 512;

/**
 * Neither SDK lets a notification wait for a slow reader over HTTP; asking the caller's gate before sending one does.
 * Over stdio the transport itself waits, and there is no gate.
 */
export async function waitForReader(
  authInfo: { readonly extra?: Record<string, unknown> } | undefined,
  message: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const gate = (authInfo as Caller | undefined)?.extra.gate;
  if (gate === undefined || message === undefined) return;
  await gate.waitForRoom(Buffer.byteLength(JSON.stringify(message)) + FRAME_BYTES, signal);
}
