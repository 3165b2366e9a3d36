import type { Writable } from "node:stream";
import type { Account } from "./account.ts";
import {
  DestinationClosedError,
  DrainTimeoutError,
  InvalidArgumentError,
  MemoryLimitError,
} from "./errors.ts";
import { abortSignal, duration, record } from "./options.ts";
import type { Schedule } from "./schedule.ts";
import { onAbort } from "./signal-listeners.ts";
import { Sink } from "./sink.ts";
import { SourceReader } from "./source-reader.ts";
import type { Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";

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
  writable: Writable,
  source: Source,
  options: WriteToOptions,
  { account, schedule }: Parts,
): Promise<WriteToResult> {
  record("options", options);
  const { signal, end = true, drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS } = options;
  duration("drainTimeoutMs", drainTimeoutMs);
  abortSignal("signal", signal);
  if (!isWritable(writable)) throw new InvalidArgumentError("writable", "a Writable", writable);
  const reader = new SourceReader(source);
  const onFailure = (reason: unknown): void => {
    reader.destroy(reason);
  };
  const sink = new Sink(session, writable, { drainTimeoutMs, schedule, onFailure });
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

function isWritable(value: unknown): boolean {
  const { write, on, destroy } = (value ?? {}) as Partial<Writable>;
  return [write, on, destroy].every((method) => typeof method === "function");
}

async function copy(reader: SourceReader, sink: Sink, account: Account): Promise<void> {
  for (;;) {
    if (account.paused) await sink.pause(account);
    const chunk = await reader.next();
    if (chunk === undefined) return;
    await sink.write(chunk);
  }
}

/** The reason to close a session with, after a stream of it failed. */
export function failureReason(error: unknown): string {
  if (error instanceof MemoryLimitError) return "limit";
  const destination = error instanceof DestinationClosedError || error instanceof DrainTimeoutError;
  return destination ? "destination" : "source";
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
