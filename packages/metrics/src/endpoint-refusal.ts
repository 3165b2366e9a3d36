import type { IncomingMessage } from "node:http";

/** Why a request is not served. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 429;
  readonly reason:
    | "target"
    | "host"
    | "origin"
    | "cross_site"
    | "query_token"
    | "token"
    | "token_rate";
  readonly message: string;
  /** When to come again; with status 429. */
  readonly retryAfterSeconds?: number;
}

export interface GuardRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders?: readonly string[];
  /** Failed tokens are counted per remote address; requests without one share a count. */
  readonly socket?: { readonly remoteAddress?: string | undefined };
}
