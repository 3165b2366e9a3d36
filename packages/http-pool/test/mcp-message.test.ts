import { expect, test } from "vitest";
import { lastEventId } from "../src/event-stream.ts";
import { readPost } from "../src/mcp-message.ts";

const LARGE = "x".repeat(70_000);

test("requests, answers and notifications are told apart", () => {
  const request = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "add" } };
  expect(readPost(JSON.stringify(request))).toEqual({
    methods: ["tools/call"],
    requestIds: ["1"],
    cancelled: [],
    tools: ["add"],
    repliesOnly: false,
    complete: true,
  });
  for (const reply of [
    { jsonrpc: "2.0", id: 1, result: {} },
    { jsonrpc: "2.0", id: "a", error: { code: 1, message: "no" } },
    { jsonrpc: "2.0", method: "notifications/initialized" },
    [{ id: 1, result: {} }, { method: "notifications/progress" }],
  ])
    expect(readPost(JSON.stringify(reply))).toMatchObject({ repliesOnly: true, requestIds: [] });
  expect(readPost(JSON.stringify([{ id: 1, result: {} }, request]))).toMatchObject({
    repliesOnly: false,
    requestIds: ["1"],
  });
});

function cancel(params: unknown): readonly string[] {
  return readPost(JSON.stringify({ method: "notifications/cancelled", params })).cancelled;
}

test("a cancellation names its request, if it does", () => {
  expect(cancel({ requestId: 7 })).toEqual(["7"]);
  expect(cancel({ requestId: "7" })).toEqual(['"7"']);
  for (const params of [undefined, null, [], { requestId: {} }, { requestId: null }, "7"])
    expect(cancel(params)).toEqual([]);
});

test.each(["", "null", "1", '"text"', "[]", "[null]", "{", "[[]]"])(
  "%j holds no message",
  (body) => {
    expect(readPost(body)).toMatchObject({ requestIds: [], cancelled: [], repliesOnly: false });
  },
);

test("of a large message the members that clients write first and last are read", () => {
  const params = { name: "a", arguments: { text: LARGE, id: 9 } };
  const call = { method: "tools/call", params, jsonrpc: "2.0", id: 12 };
  const expected = { methods: ["tools/call"], requestIds: ["12"], repliesOnly: false };
  expect(readPost(JSON.stringify(call))).toMatchObject({ ...expected, complete: false });
  const other = { jsonrpc: "2.0", id: 12, method: "tools/call", params };
  expect(readPost(JSON.stringify(other))).toMatchObject({ ...expected, complete: false });
  const answer = { result: { text: LARGE }, jsonrpc: "2.0", id: 3 };
  expect(readPost(JSON.stringify(answer))).toMatchObject({ repliesOnly: true, requestIds: [] });
  const unusual = { params: { id: 5, text: LARGE }, method: "tools/call" };
  expect(readPost(JSON.stringify(unusual))).toMatchObject({ methods: [], requestIds: [] });
  // What ends an argument does not end the message.
  const nested = { method: "tools/call", params: { text: LARGE, id: 5 } };
  expect(readPost(JSON.stringify(nested))).toMatchObject({ requestIds: [] });
  expect(readPost(`[${JSON.stringify(call)}]`)).toMatchObject({ methods: [], requestIds: [] });
});

function last(piece: string): string | undefined {
  return lastEventId(Buffer.from(piece));
}

test("the last event of a piece of a stream is found", () => {
  expect(last("id: 1\ndata: a\n\nid: 2\ndata: b\n\n")).toBe("2");
  expect(last("id:x y\r\ndata: a\n\n")).toBe("x y");
  for (const piece of ["data: id: 4\n\n", "id: 5", ": id:6\n", "", "identity: 1\n"])
    expect(last(piece)).toBeUndefined();
});
