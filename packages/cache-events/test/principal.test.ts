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

  test("is nobody in particular without HTTP, and unknown over HTTP without a sign", () => {
    expect(principalOf({ mcpReq: {} })).toBe("");
    expect(principalOf(undefined)).toBe("");
    expect(principalOf({ requestInfo: { headers: { "x-api-key": "k" } } })).toBeUndefined();
    expect(principalOf({ http: { req: request({}) } })).toBeUndefined();
  });
});
