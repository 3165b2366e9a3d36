import {
  StreamableHTTPClientTransport as TransportV2,
  Client as ClientV2,
  UnauthorizedError as UnauthorizedV2,
} from "@modelcontextprotocol/client";
import { UnauthorizedError as UnauthorizedV1 } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { describe, expect, test } from "vitest";
import { PoolAgent } from "../src/index.ts";
import { mcpFetch } from "../src/mcp.ts";
import { rejection } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const INFO = { name: "test", version: "1.0.0" };

/** An MCP server that wants a token, and an authorization server that refuses the client. */
async function startProtected(): Promise<TestServer> {
  const server = await new TestServer((request, response) => {
    request.resume();
    const json = (status: number, body: object, headers: object = {}): void => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify(body));
    };
    const { origin } = server;
    const { pathname } = new URL(request.url ?? "/", origin);
    if (pathname === "/mcp") {
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
      const challenge = { "www-authenticate": `Bearer resource_metadata="${metadata}"` };
      json(401, { error: "invalid_token" }, challenge);
    } else if (pathname.startsWith("/.well-known/oauth-protected-resource")) {
      json(200, { resource: `${origin}/mcp`, authorization_servers: [origin] });
    } else if (pathname.startsWith("/.well-known/")) {
      json(200, {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
      });
    } else if (pathname === "/token") {
      json(400, { error: "invalid_grant", error_description: "the refresh token has ended" });
    } else json(404, { error: "not_found" });
  }).start();
  return server;
}

/** A client that has been authorised before; its tokens are of no use any more. */
function provider(redirected: URL[], issuer: string): object {
  let tokens: object | undefined = {
    issuer,
    access_token: "old",
    token_type: "bearer",
    refresh_token: "old",
  };
  return {
    redirectUrl: "http://localhost/callback",
    clientMetadata: { redirect_uris: ["http://localhost/callback"] },
    clientInformation: () => ({ issuer, client_id: "id" }),
    tokens: () => tokens,
    saveTokens: (saved: object) => void (tokens = saved),
    redirectToAuthorization: (url: URL) => void redirected.push(url),
    saveCodeVerifier: () => undefined,
    codeVerifier: () => "verifier",
    invalidateCredentials: () => void (tokens = undefined),
  };
}

/** The ways in which a client of an MCP SDK can use the pool. */
const WAYS: readonly [string, (agent: PoolAgent) => typeof fetch][] = [
  ["mcpFetch", (agent) => mcpFetch(agent)],
  ["agent.fetch", (agent) => (input, init) => agent.fetch(input, init)],
  [
    "the built-in fetch with the agent as its dispatcher",
    (agent) => (input, init) => fetch(input, { ...init, dispatcher: agent } as object),
  ],
];

describe.each(WAYS)("OAuth errors of the MCP clients over %s", (_way, fetchOf) => {
  test.each(["v1", "v2"] as const)(
    "the %s client understands them, and asks its user",
    async (version) => {
      await using server = await startProtected();
      await using agent = new PoolAgent();
      const redirected: URL[] = [];
      const url = new URL("/mcp", server.origin);
      const options = {
        fetch: fetchOf(agent),
        authProvider: provider(redirected, server.origin) as never,
      };
      const connected =
        version === "v1"
          ? new ClientV1(INFO).connect(new TransportV1(url, options))
          : new ClientV2(INFO).connect(new TransportV2(url, options));
      const error = await rejection(connected);
      expect(error).toBeInstanceOf(version === "v1" ? UnauthorizedV1 : UnauthorizedV2);
      expect(redirected.map(({ pathname }) => pathname)).toEqual(["/authorize"]);
      expect(agent.stats().requests).toBe(server.requests);
      expect(agent.stats()).toMatchObject({ active: 0, failed: 0, created: server.sockets });
    },
  );
});
