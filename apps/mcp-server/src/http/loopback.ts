import { ConfigError } from "../errors.ts";

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

/** @throws ConfigError — without authentication the endpoints are for programs on the same machine only. */
export function requireLoopback(host: string): void {
  if (LOOPBACK.includes(host)) return;
  throw new ConfigError(
    `http.host (--host): expected one of ${LOOPBACK.join(", ")}, got "${host}". The endpoint has no authentication; put a proxy that authenticates in front of it to serve other machines.`,
  );
}
