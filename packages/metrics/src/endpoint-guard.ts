import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";

export interface EndpointGuardOptions {
  /** Asked for as `Authorization: Bearer …`, at least 16 characters. Default none. */
  readonly token?: string;
  /** Host names that requests may be for, whatever the port. Default the loopback ones. */
  readonly allowedHosts?: readonly string[];
  /** Origins other than the endpoint's own that browsers may call from. Default none. */
  readonly allowedOrigins?: readonly string[];
}

/** Why a request is not served. */
export interface Refusal {
  readonly status: 400 | 401 | 403;
  readonly reason: "target" | "host" | "origin" | "cross_site" | "query_token" | "token";
  readonly message: string;
}

export interface GuardRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly rawHeaders?: readonly string[];
}

/** Checks requests of one operational endpoint. */
export interface EndpointGuard {
  readonly hasToken: boolean;
  /** Everything but the token. */
  refuseSite(request: GuardRequest): Refusal | undefined;
  /** Everything but the token, for a page without data: following a link to it is allowed from any site. */
  refusePage(request: GuardRequest): Refusal | undefined;
  /** Everything. */
  refuse(request: GuardRequest): Refusal | undefined;
}

const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"];
const MIN_TOKEN_LENGTH = 16;
const MAX_TOKEN_LENGTH = 1_024;
const TOKEN_PARAMETERS = /^(access_?token|token|auth|authorization|bearer|api_?key|key|secret)$/i;

/**
 * Protects an operational endpoint against pages of other sites (Host, Origin, Sec-Fetch-Site), and with a token against
 * everybody else. Throws `InvalidOptionError`.
 */
export function guardEndpoint(options: EndpointGuardOptions = {}): EndpointGuard {
  requireObject("guard", options);
  const { token } = options;
  const { allowedHosts = LOOPBACK_HOSTS, allowedOrigins = [] } = options;
  const isToken = token === undefined ? undefined : tokenCheck("guard.token", token);
  const hosts = new Set(strings("guard.allowedHosts", allowedHosts).map(normalHost));
  const origins = new Set(strings("guard.allowedOrigins", allowedOrigins).map(normalOrigin));
  const refuseSite = (request: GuardRequest, isPage: boolean): Refusal | undefined =>
    refuseTarget(request) ??
    refuseHost(request, hosts) ??
    refuseOrigin(request, origins) ??
    refuseCrossSite(request, origins, isPage) ??
    refuseQuery(request);
  return {
    hasToken: isToken !== undefined,
    refuseSite: (request) => refuseSite(request, false),
    refusePage: (request) => refuseSite(request, true),
    refuse: (request) =>
      refuseSite(request, false) ??
      (isToken === undefined || isToken(request) ? undefined : unauthorized),
  };
}

/** Whether requests carry this token. Compares digests in constant time: neither bytes nor length leak. */
export function tokenCheck(option: string, token: string): (request: GuardRequest) => boolean {
  const usable =
    typeof token === "string" && /^[!-~]+$/.test(token) && token.length >= MIN_TOKEN_LENGTH;
  if (!usable || token.length > MAX_TOKEN_LENGTH) {
    const expected = `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} printable ASCII characters without spaces`;
    throw new InvalidOptionError(option, expected, typeof token === "string" ? "***" : token);
  }
  const expected = digest(token);
  return ({ headers }) => {
    const given = /^Bearer ([!-~]+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
    return timingSafeEqual(digest(given), expected);
  };
}

export const unauthorized: Refusal = {
  status: 401,
  reason: "token",
  message: "Send the token in the header: Authorization: Bearer <token>",
};

// In a proxy's absolute form the target names a host of its own, which would bypass the check of the header.
function refuseTarget({ url = "" }: GuardRequest): Refusal | undefined {
  if (/^\/(?![/\\])/.test(url)) return undefined;
  return refusal(400, "target", "The request target must be a path");
}

function refuseHost(
  { headers, rawHeaders = [] }: GuardRequest,
  hosts: ReadonlySet<string>,
): Refusal | undefined {
  const given = rawHeaders.filter(
    (text, index) => index % 2 === 0 && text.toLowerCase() === "host",
  );
  const host = normalHost((headers.host ?? "").replace(/:\d{1,5}$/, ""));
  if (given.length <= 1 && hosts.has(host)) return undefined;
  return refusal(403, "host", "This Host is not allowed; add it to guard.allowedHosts");
}

function refuseOrigin(
  { headers }: GuardRequest,
  origins: ReadonlySet<string>,
): Refusal | undefined {
  const { origin, host = "" } = headers;
  if (origin === undefined) return undefined;
  const normal = normalOrigin(origin);
  const own = [`http://${host}`, `https://${host}`].map(normalOrigin);
  if (own.includes(normal) || origins.has(normal)) return undefined;
  return refusal(403, "origin", "This Origin is not allowed; add it to guard.allowedOrigins");
}

/** https://www.w3.org/TR/fetch-metadata/: another port of this host is `same-site`, and another program all the same. */
function refuseCrossSite(
  { headers, method }: GuardRequest,
  origins: ReadonlySet<string>,
  isPage: boolean,
): Refusal | undefined {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return undefined;
  if (headers.origin !== undefined && origins.has(normalOrigin(headers.origin))) return undefined;
  const followsLink =
    method === "GET" &&
    headers["sec-fetch-mode"] === "navigate" &&
    headers["sec-fetch-dest"] === "document";
  if (isPage && followsLink) return undefined;
  return refusal(403, "cross_site", "Requests from pages of other sites are refused");
}

function refuseQuery({ url = "" }: GuardRequest): Refusal | undefined {
  const query = url.split("?", 2)[1];
  if (query === undefined) return undefined;
  const names = [...new URLSearchParams(query).keys()];
  if (!names.some((name) => TOKEN_PARAMETERS.test(name))) return undefined;
  const message =
    "A token in the URL ends up in logs and histories: send it in the header Authorization: Bearer <token>, and change this one";
  return refusal(400, "query_token", message);
}

function refusal(status: Refusal["status"], reason: Refusal["reason"], message: string): Refusal {
  return { status, reason, message };
}

function strings(option: string, values: readonly string[]): readonly string[] {
  if (Array.isArray(values) && values.every((value) => typeof value === "string")) return values;
  throw new InvalidOptionError(option, "an array of strings", values);
}

function normalHost(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}

function normalOrigin(origin: string): string {
  return origin.toLowerCase();
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
