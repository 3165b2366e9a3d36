import { PassThrough } from "node:stream";
import { beforeEach, describe, expect, test } from "vitest";
import { LineTransport, type JsonRpcMessage } from "../src/stdio/line-transport.ts";

const ping = (id: number): string => JSON.stringify({ jsonrpc: "2.0", id, method: "ping" });
const tick = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the line transport", () => {
  let input: PassThrough;
  let output: PassThrough;
  let transport: LineTransport;
  let messages: JsonRpcMessage[];
  let text: string;
  let closed: Promise<void>;
  beforeEach(async () => {
    input = new PassThrough();
    output = new PassThrough();
    messages = [];
    text = "";
    output.on("data", (data) => {
      text += String(data);
    });
    transport = new LineTransport({ input, output, maxLineBytes: 100 });
    transport.onmessage = (message) => void messages.push(message);
    closed = new Promise((resolve) => {
      transport.onclose = resolve;
    });
    await transport.start();
  });

  const written = (): unknown[] =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as unknown);

  test("delivers one message a line, however the bytes are cut", async () => {
    const lines = `${ping(1)}\n${ping(2)}\r\n\n${JSON.stringify({ jsonrpc: "2.0", method: "é" })}\n`;
    for (const byte of Buffer.from(lines)) input.write(Buffer.of(byte));
    await tick();
    expect(messages).toMatchObject([{ id: 1 }, { id: 2 }, { method: "é" }]);
  });

  test.each([
    ["{", -32700],
    ["[]", -32600],
    ["1", -32600],
    ["null", -32600],
    ['{"id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1}', -32600],
    ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","params":5}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', -32600],
  ])("answers %s with one error and goes on", async (line, code) => {
    input.write(`${line}\n${ping(7)}\n`);
    await tick();
    expect(written()).toMatchObject([{ jsonrpc: "2.0", id: null, error: { code } }]);
    expect(messages).toMatchObject([{ id: 7 }]);
  });

  test("refuses a line that is too long once, keeps none of it, and goes on after it", async () => {
    for (let index = 0; index < 1_000; index += 1) input.write("x".repeat(90));
    await tick();
    expect(written()).toEqual([
      {
        jsonrpc: "2.0",
        id: null,
        error: { code: -32600, message: "Message too long: a line may have 100 bytes" },
      },
    ]);
    input.write(`\n${ping(8)}\n`);
    await tick();
    expect(messages).toMatchObject([{ id: 8 }]);
  });

  test("answers the requests under way before it closes at the end of its input", async () => {
    input.write(`${ping(1)}\n${ping(2)}\n`);
    input.end();
    await tick();
    await transport.send({ jsonrpc: "2.0", id: 2, result: {} });
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    await closed;
    expect(written()).toMatchObject([{ id: 2 }, { id: 1 }]);
    await expect(transport.send({})).rejects.toThrow("The connection is closed");
  });

  test("closes at once at the end of its input when nothing is under way", async () => {
    input.end();
    await expect(closed).resolves.toBeUndefined();
  });

  test("waits for a reader that does not keep up", async () => {
    const slow = new PassThrough({ highWaterMark: 10 });
    const guarded = new LineTransport({
      input: new PassThrough(),
      output: slow,
      maxLineBytes: 100,
    });
    let sent = false;
    const sending = guarded.send({ text: "x".repeat(50) }).then(() => (sent = true));
    await tick();
    expect(sent).toBe(false);
    slow.resume();
    await sending;
  });

  test("closes when its output breaks", async () => {
    output.destroy(new Error("EPIPE"));
    await expect(closed).resolves.toBeUndefined();
  });
});
