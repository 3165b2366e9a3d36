import type { CloseReason } from "./connection.ts";

/** `upstream` is the origin everywhere: no credentials, no path, no query. */
export interface OpenEvent {
  readonly upstream: string;
  readonly durationMs: number;
}

export interface CloseEvent {
  readonly upstream: string;
  readonly reason: CloseReason;
  readonly ageMs: number;
  /** Requests that the connection carried. */
  readonly requests: number;
}

export interface ConnectErrorEvent {
  readonly upstream: string;
  readonly durationMs: number;
  readonly error: Error;
}

export type RequestOutcome = "ok" | "error" | "aborted";

export interface RequestEvent {
  readonly upstream: string;
  readonly lane: "request" | "stream" | "reply" | "probe";
  readonly outcome: RequestOutcome;
  /** 0 when no response came. */
  readonly statusCode: number;
  /** From `dispatch` to the end of the response body. */
  readonly durationMs: number;
  /** Whether its connection had carried another request before. */
  readonly reused: boolean;
}

export interface WaitEvent {
  readonly upstream: string;
  readonly waitMs: number;
}

export interface ReplayEvent {
  readonly upstream: string;
  readonly error: Error;
}

export interface HealthCheckEvent {
  readonly upstream: string;
  readonly ok: boolean;
  readonly durationMs: number;
}

/** A response whose body nobody reads, so that it holds its connection. */
export interface LeakEvent {
  readonly upstream: string;
  readonly method: string;
  /** Of the request, without its query. */
  readonly path: string;
  /** For how long nothing was read. */
  readonly unreadMs: number;
  /** Where the request was made, for the part of the requests that `leakStackRatio` names. */
  readonly stack?: string;
}

export interface PoolEvents {
  /** A connection was opened. */
  open: OpenEvent;
  /** A connection ended. */
  close: CloseEvent;
  /** A connection could not be opened. */
  connectError: ConnectErrorEvent;
  /** A request ended, well or not. */
  request: RequestEvent;
  /** A request that had to wait was given a connection. */
  wait: WaitEvent;
  /** A request is sent again, because its connection turned out to be dead. */
  replay: ReplayEvent;
  healthCheck: HealthCheckEvent;
  /** A body was not read for `leakAfterMs`. */
  leak: LeakEvent;
}
