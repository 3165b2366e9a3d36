export type Mode =
  | "ok"
  /** Answers with `status`. */
  | "fail"
  /** Resets the connection instead of an answer. */
  | "reset"
  /** Reads the request and says nothing. */
  | "stall-headers"
  /** Sends headers and half a body. */
  | "stall-body"
  | "reset-body";

export interface Behaviour {
  readonly mode: Mode;
  readonly delayMs?: number;
  /** At most so much more, at random. */
  readonly jitterMs?: number;
  readonly status?: number;
}

export interface ToReplica {
  readonly id: number;
  readonly behave?: Behaviour;
}

export interface FromReplica {
  readonly port?: number;
  readonly reply?: number;
  readonly requests?: number;
  readonly accepted?: number;
}
