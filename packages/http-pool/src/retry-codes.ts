/**
 * For the option `errorCodes` of undici's retry interceptor and `RetryAgent`: what they retry by default, and the
 * errors of this package after which nothing of the request was sent.
 */
export const RETRY_ERROR_CODES: readonly string[] = [
  "ECONNRESET",
  "ECONNREFUSED",
  "ENOTFOUND",
  "ENETDOWN",
  "ENETUNREACH",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "EPIPE",
  "UND_ERR_SOCKET",
  "HTTP_POOL_CIRCUIT_OPEN",
  "HTTP_POOL_EXHAUSTED",
  "HTTP_POOL_QUEUE_TIMEOUT",
  "HTTP_POOL_UPSTREAM_UNAVAILABLE",
];
