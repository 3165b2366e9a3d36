import { describe, expect, test } from "vitest";
import { principalOf } from "../src/principal.ts";

const request = (headers: Record<string, string>): Request =>
  new Request("http://localhost/", { headers });

describe("the principal of a request", () => {
  test("is the access token, in both generations of the SDK", () => {
    const v1 = principalOf({ authInfo: { token: "a", clientId: "c" }, sessionId: "s" });
    const v2 = principalOf({ http: { authInfo: { token: "a", clientId: "c" } }, mcpReq: {} });
    expect(v1).toBe(v2);
    expect(v1).not.toContain("a".repeat(2));
    expect(principalOf({ authInfo: { token: "b", clientId: "c" } })).not.toBe(v1);
  });

  test("is the credentials of the HTTP request when nobody checked a token", () => {
    const v1 = principalOf({ requestInfo: { headers: { authorization: "Bearer a" } } });
    const v2 = principalOf({ http: { req: request({ authorization: "Bearer a" }) } });
    expect(v1).toBe(v2);
    const cookie = principalOf({ requestInfo: { headers: { cookie: ["a=1", "b=2"] } } });
    expect(cookie).toBe(principalOf({ requestInfo: { headers: { cookie: "a=1, b=2" } } }));
    expect(cookie).not.toBe(v1);
  });

  test("is the session when there are no credentials", () => {
    const one = principalOf({ sessionId: "1", requestInfo: { headers: {} } });
    expect(one).not.toBe(principalOf({ sessionId: "2", requestInfo: { headers: {} } }));
    expect(one).toBe(principalOf({ sessionId: "1", http: { req: request({}) } }));
  });

  test("is told apart by what headers say of the user behind a credential that several share", () => {
    for (const of of [
      (user: string) => ({
        authInfo: { token: "gateway" },
        requestInfo: { headers: { "x-user-id": user } },
      }),
      (user: string) => ({
        http: { authInfo: { token: "gateway" }, req: request({ "X-User-Id": user }) },
      }),
      (user: string) => ({ requestInfo: { headers: { cookie: "theme=dark", "x-api-key": user } } }),
      (user: string) => ({ http: { req: request({ cookie: "theme=dark", "x-tenant": user }) } }),
      (user: string) => ({
        sessionId: "s",
        requestInfo: { headers: { "x-forwarded-email": user } },
      }),
      ...[
        "x-ms-client-principal-id",
        "x-consumer-id",
        "cf-access-jwt-assertion",
        "x-ssl-client-s-dn",
        "x-role",
        "x-workspace-id",
        "cookie",
        "x-a-header-of-your-own",
      ].map((name) => (user: string) => ({
        authInfo: { token: "gateway" },
        requestInfo: { headers: { [name]: user } },
      })),
    ]) {
      expect(principalOf(of("alice"))).not.toBe(principalOf(of("bob")));
      expect(principalOf(of("alice"))).toBe(principalOf(of("alice")));
    }
  });

  test("is the same whatever other headers a request has", () => {
    const one = request({
      authorization: "Bearer a",
      "user-agent": "x",
      traceparent: "1",
      "x-request-id": "1",
      "mcp-session-id": "s",
    });
    const two = request({ authorization: "Bearer a", "user-agent": "y" });
    expect(principalOf({ http: { req: one } })).toBe(principalOf({ http: { req: two } }));
  });

  test("is not an empty token, which all callers of a server that checks none would share", () => {
    const context = { authInfo: { token: "", clientId: "c" }, requestInfo: { headers: {} } };
    expect(principalOf(context)).toBeUndefined();
    expect(principalOf({ ...context, sessionId: "s" })).toBe(
      principalOf({ sessionId: "s", requestInfo: { headers: {} } }),
    );
  });

  test("is nobody in particular without HTTP, and unknown over HTTP without a sign", () => {
    expect(principalOf({ mcpReq: {} })).toBe("");
    expect(principalOf(undefined)).toBe("");
    expect(principalOf({ requestInfo: { headers: { "x-api-key": "k" } } })).toBeUndefined();
    expect(principalOf({ http: { req: request({}) } })).toBeUndefined();
  });
});
