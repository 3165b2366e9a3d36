import { createHash, randomUUID } from "node:crypto";
import { fields } from "./mcp-shapes.ts";

/**
 * Who makes an MCP request, from what both generations of the SDK hand to a tool: the access token, or the credentials of the
 * HTTP request, or the session, together with every other header that may tell users of one credential apart; hashed. `""` for a
 * request that did not come over HTTP: its transport has one client. `undefined` for an HTTP request that shows none of these: it may be
 * identified by something only the server knows.
 */
export function principalOf(context: unknown): string | undefined {
  const { authInfo, requestInfo, http, sessionId } = fields(context);
  const { authInfo: httpAuth, req } = fields(http);
  const headers = fields(requestInfo)["headers"] ?? fields(req)["headers"];
  const { token } = fields(authInfo ?? httpAuth);
  if (typeof token === "string" && token !== "") return digest("token", token, headers);
  const credentials = ["authorization", "cookie"].map((name) => header(headers, name));
  if (credentials.some((value) => value !== ""))
    return digest("http", JSON.stringify(credentials), headers);
  if (typeof sessionId === "string") return digest("session", sessionId, headers);
  return requestInfo === undefined && http === undefined ? "" : undefined;
}

/**
 * `principalOf` for one server object. Without HTTP a connection has a server object of its own, and only that tells whom it is
 * for: two of them share nothing, in this process or another.
 */
export function principalOfServer(): (context: unknown) => string | undefined {
  const own = randomUUID();
  return (context) => {
    const who = principalOf(context);
    return who === "" ? own : who;
  };
}

/**
 * Headers that say how a request travels, or which request it is, but not for whom. All others belong to the principal: any of
 * them may be a gateway's way to name a user, a tenant or a role, and two that differ must not share.
 */
const impersonal =
  /^(accept|connection|content-|date$|dnt$|expect$|forwarded$|host$|if-|keep-alive$|last-event-id$|max-forwards$|mcp-|origin$|pragma$|priority$|proxy-connection$|range$|referer$|sec-|te$|trailer$|transfer-encoding$|upgrade|user-agent$|via$|cache-control$|traceparent$|tracestate$|baggage$|x-forwarded-(for|host|port|proto|server|scheme|path|prefix)$|x-real-ip$|x-request-(id|start)$|x-correlation-id$|x-b3-|x-trace|x-cloud-trace|x-amzn-trace-id$|x-datadog-|x-envoy-|x-azure-|x-client-trace|cf-(ray|connecting-ip|ipcountry|visitor)$|true-client-ip$|cdn-loop$|authorization$)/;

function digest(kind: string, sign: string, headers: unknown): string {
  const told: string[] = [];
  if (headers instanceof Headers) headers.forEach((value, name) => tell(told, name, value));
  else
    for (const name of Object.keys(fields(headers)))
      if (identifies(name)) tell(told, name, header(headers, name));
  const all = [kind, sign, ...told.toSorted()];
  return createHash("sha256").update(JSON.stringify(all)).digest("base64url");
}

function tell(told: string[], name: string, value: string): void {
  if (identifies(name)) told.push(`${name.toLowerCase()}: ${value}`);
}

const maxNames = 1_000;
const known = new Map<string, boolean>();

/** Remembered for each name: the same few come with every request. */
function identifies(name: string): boolean {
  const found = known.get(name);
  if (found !== undefined) return found;
  const lower = name.toLowerCase();
  const yes = !impersonal.test(lower);
  if (known.size < maxNames) known.set(name, yes);
  return yes;
}

function header(headers: unknown, name: string): string {
  const value: unknown = headers instanceof Headers ? headers.get(name) : fields(headers)[name];
  return Array.isArray(value) ? value.join(", ") : typeof value === "string" ? value : "";
}
