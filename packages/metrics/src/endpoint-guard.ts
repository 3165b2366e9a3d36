import type { GuardRequest, Refusal } from "./endpoint-refusal.ts";
import { tokenCheck } from "./endpoint-token.ts";
import type { TokenLimits } from "./endpoint-token.ts";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";

export interface EndpointGuardOptions extends TokenLimits {
  /** Asked for as `Authorization: Bearer …`, at least 16 characters. Default none. */
  readonly token?: string;
  /** Host names that requests may be for, whatever the port. Default the loopback ones. */
  readonly allowedHosts?: readonly string[];
  /** Origins other than the endpoint's own that browsers may call from. Default none. */
  readonly allowedOrigins?: readonly string[];
}

/** Checks requests of one operational endpoint. */
export interface EndpointGuard {
  readonly hasToken: boolean;
  /** Everything but the token. */
  refuseSite(request: GuardRequest): Refusal | undefined;
  /** Everything but the token, for a page without data: following a link to it is allowed from any site. */
  refusePage(request: GuardRequest): Refusal | undefined;
  /** The token alone; nothing is refused when there is none. */
  refuseToken(request: GuardRequest): Refusal | undefined;
  /** Everything. */
  refuse(request: GuardRequest): Refusal | undefined;
}

const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"];
const TOKEN_PARAMETERS = /^(access_?token|token|auth|authorization|bearer|api_?key|key|secret)$/i;

/**
 * Protects an operational endpoint against pages of other sites (Host, Origin, Sec-Fetch-Site), and with a token against
 * everybody else. Throws `InvalidOptionError`.
 */
export function guardEndpoint(options: EndpointGuardOptions = {}): EndpointGuard {
  requireObject("guard", options);
  const { token } = options;
  const { allowedHosts = LOOPBACK_HOSTS, allowedOrigins = [] } = options;
  const refuseToken =
    token === undefined ? () => undefined : tokenCheck("guard.token", token, options);
  const hosts = new Set(strings("guard.allowedHosts", allowedHosts).map(normalHost));
  const origins = new Set(strings("guard.allowedOrigins", allowedOrigins).map(normalOrigin));
  const refuseSite = (request: GuardRequest, isPage: boolean): Refusal | undefined =>
    refuseTarget(request) ??
    refuseHost(request, hosts) ??
    refuseOrigin(request, origins) ??
    refuseCrossSite(request, origins, isPage) ??
    refuseQuery(request);
  return {
    hasToken: token !== undefined,
    refuseSite: (request) => refuseSite(request, false),
    refusePage: (request) => refuseSite(request, true),
    refuseToken,
    refuse: (request) => refuseSite(request, false) ?? refuseToken(request),
  };
}

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
