import { createHash } from "node:crypto";

type Fields = Readonly<Record<string, unknown>>;

/**
 * Who makes an MCP request, from what both generations of the SDK hand to a tool: the access token, or the credentials of the
 * HTTP request, or the session; hashed. `""` for a request that did not come over HTTP: its transport has one client. `undefined`
 * for an HTTP request that shows none of these: it may be identified by something only the server knows.
 */
export function principalOf(context: unknown): string | undefined {
  const { authInfo, requestInfo, http, sessionId } = fields(context);
  const { authInfo: httpAuth, req } = fields(http);
  const token = fields(authInfo ?? httpAuth)["token"];
  if (typeof token === "string") return digest("token", token);
  const headers = fields(requestInfo)["headers"] ?? fields(req)["headers"];
  const credentials = ["authorization", "cookie"].map((name) => header(headers, name));
  if (credentials.some((value) => value !== "")) return digest("http", ...credentials);
  if (typeof sessionId === "string") return digest("session", sessionId);
  return requestInfo === undefined && http === undefined ? "" : undefined;
}

function header(headers: unknown, name: string): string {
  const value: unknown = headers instanceof Headers ? headers.get(name) : fields(headers)[name];
  return Array.isArray(value) ? value.join(", ") : typeof value === "string" ? value : "";
}

function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
