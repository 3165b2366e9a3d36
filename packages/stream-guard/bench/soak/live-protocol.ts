/** What a client does with its response. */
export const KINDS = ["reads", "slow", "aborts", "stalls"] as const;
export type Kind = (typeof KINDS)[number];

/** To the process of the clients. */
export interface LoadRequest {
  readonly origin: string;
  /** Sessions a second, begun when they are due, whatever the earlier ones do. */
  readonly rate: number;
  readonly durationMs: number;
  readonly seed: number;
}

/** From it, when every response has ended. */
export interface LoadResult {
  readonly begun: Readonly<Record<Kind, number>>;
  /** Responses that were to be read and came to a wrong end, or not whole. */
  readonly broken: number;
  readonly chunks: number;
}

export const CHUNK_BYTES = 4096;
export const CHUNKS = 64;
/** The guard's; its sweeps come every quarter of it. */
export const STALL_TIMEOUT_MS = 400;
