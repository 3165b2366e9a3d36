import type { Writable } from "node:stream";
import type { WritableStream } from "node:stream/web";
import type { Account } from "./account.ts";
import { NodeDestination } from "./destination.ts";
import type { Destination } from "./destination.ts";
import { InvalidArgumentError } from "./errors.ts";
import { failureReason } from "./failure-reason.ts";
import { abortSignal, duration, record } from "./options.ts";
import type { Schedule } from "./schedule.ts";
import { onAbort } from "./signal-listeners.ts";
import { Sink } from "./sink.ts";
import { SourceReader } from "./source-reader.ts";
import type { Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";
import { WebDestination } from "./web-destination.ts";

const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;

export interface WriteToOptions {
  /** Longest wait for the destination to accept anything; 30 s by default. */
  readonly drainTimeoutMs?: number;
  /** End the destination after the last chunk; true by default. */
  readonly end?: boolean;
  readonly signal?: AbortSignal;
}

export interface WriteToResult {
  /** Bytes handed to the destination. */
  readonly bytes: number;
  readonly chunks: number;
}

/** The session's own parts. */
interface Parts {
  readonly account: Account;
  readonly schedule: Schedule;
}

/** See `StreamingSession.writeTo`. */
export async function writeTo(
  session: StreamingSession,
  writable: Writable | WritableStream<Uint8Array>,
  source: Source,
  options: WriteToOptions,
  { account, schedule }: Parts,
): Promise<WriteToResult> {
  record("options", options);
  const { signal, end = true, drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS } = options;
  duration("drainTimeoutMs", drainTimeoutMs);
  abortSignal("signal", signal);
  const destination = destinationOf(writable);
  const reader = new SourceReader(source);
  const onFailure = (reason: unknown): void => {
    reader.destroy(reason);
  };
  const sink = new Sink(session, destination, { drainTimeoutMs, schedule, onFailure });
  const operation = session.begin();
  const unfollow = failOnAbort(sink, [session.signal, signal]);
  try {
    await copy(reader, sink, account);
    await sink.finish(end);
    return { bytes: sink.bytes, chunks: sink.chunks };
  } catch (error) {
    sink.fail(error);
    await session.close(signal?.aborted === true ? "aborted" : failureReason(error));
    throw error;
  } finally {
    unfollow();
    sink.detach();
    operation[Symbol.dispose]();
  }
}

async function copy(reader: SourceReader, sink: Sink, account: Account): Promise<void> {
  for (;;) {
    if (account.paused) await sink.pause(account);
    const chunk = await reader.next();
    if (chunk === undefined) return;
    await sink.write(chunk);
  }
}

function destinationOf(writable: Writable | WritableStream<Uint8Array>): Destination {
  if (typeof (writable as Partial<WritableStream> | null)?.getWriter === "function")
    return new WebDestination(writable as WritableStream<Uint8Array>);
  if (isWritable(writable)) return new NodeDestination(writable as Writable);
  throw new InvalidArgumentError("writable", "a Writable or a WritableStream", writable);
}

function isWritable(value: unknown): boolean {
  const { write, on, destroy } = (value ?? {}) as Partial<Writable>;
  return [write, on, destroy].every((method) => typeof method === "function");
}

function failOnAbort(sink: Sink, signals: readonly (AbortSignal | undefined)[]): () => void {
  const undo = signals.map((signal) => {
    const fail = (): void => {
      sink.fail(signal?.reason);
    };
    if (signal?.aborted === true) fail();
    return onAbort(signal, fail);
  });
  return () => {
    for (const remove of undo) remove();
  };
}
