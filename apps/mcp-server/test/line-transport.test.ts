import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { beforeEach, describe, expect, test, vi } from "vitest";
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
    transport = new LineTransport({ input, output, maxLineBytes: 400 });
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
    ["{", -32700, null],
    ["[]", -32600, null],
    ["1", -32600, null],
    ["null", -32600, null],
    ['{"id":1,"method":"ping"}', -32600, 1],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":1}', -32600, 1],
    ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":1,"method":"a","params":5}', -32600, 1],
    ['{"jsonrpc":"2.0","id":1,"method":"a","params":null}', -32600, 1],
    ['{"jsonrpc":"2.0","id":1,"method":"a","extra":1}', -32600, 1],
    ['{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":5}}', -32600, 1],
    ['{"jsonrpc":"2.0","id":1,"result":[]}', -32600, 1],
    [`${"[".repeat(99)}{"id":1}`, -32700, null],
  ])("answers %s with one error and goes on", async (line, code, id) => {
    input.write(`${line}\n${ping(7)}\n`);
    await tick();
    expect(written()).toMatchObject([{ jsonrpc: "2.0", id, error: { code } }]);
    expect(messages).toMatchObject([{ id: 7 }]);
  });

  test("refuses a line that is too long once, keeps none of it, and goes on after it", async () => {
    for (let index = 0; index < 1_000; index += 1) input.write("x".repeat(90));
    await tick();
    expect(written()).toEqual([
      {
        jsonrpc: "2.0",
        id: null,
        error: { code: -32600, message: "Message too long: a line may have 400 bytes" },
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
    await guarded.start();
    let sent = false;
    const sending = guarded.send({ text: "x".repeat(50) }).then(() => (sent = true));
    await tick();
    expect(sent).toBe(false);
    slow.resume();
    await sending;
  });

  test("takes nothing more while its reader does not read, and goes on when it does", async () => {
    const lines = new PassThrough();
    const slow = new PassThrough({ highWaterMark: 1_000 });
    const held = new LineTransport({ input: lines, output: slow, maxLineBytes: 100 });
    await held.start();
    for (let index = 0; index < 100; index += 1) lines.write("x\n".repeat(1_000));
    await tick();
    expect(slow.readableLength + slow.writableLength).toBeLessThan(5_000);
    const answers = createInterface({ input: slow })[Symbol.asyncIterator]();
    for (let index = 0; index < 100_000; index += 1) await answers.next();
    await held.close();
  });

  test("takes a bounded number of requests that have no answer yet", async () => {
    for (let id = 0; id < 1_500; id += 1) input.write(`${ping(id)}\n`);
    await tick();
    expect(messages).toHaveLength(1_000);
    for (let id = 0; id < 1_000; id += 1) await transport.send({ jsonrpc: "2.0", id, result: {} });
    await tick();
    expect(messages).toHaveLength(1_500);
  });

  test("refuses what is not UTF-8, and what is nested too deeply", async () => {
    input.write(Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]));
    input.write(`{"jsonrpc":"2.0","id":1,"result":${"[".repeat(120)}${"]".repeat(120)}}\n`);
    await tick();
    expect(written()).toMatchObject([{ error: { code: -32700 } }, { error: { code: -32600 } }]);
    expect(messages).toEqual([]);
  });

  test("a receiver that throws costs its message an error, and the connection nothing", async () => {
    const errors: Error[] = [];
    transport.onerror = (error) => void errors.push(error);
    transport.onmessage = () => {
      throw new RangeError("Maximum call stack size exceeded");
    };
    input.write(`${ping(1)}\n`);
    await tick();
    expect(written()).toMatchObject([{ id: 1, error: { code: -32603 } }]);
    expect(errors).toHaveLength(1);
  });

  test("a last line without its end is taken, too", async () => {
    input.end(ping(1));
    await tick();
    expect(messages).toMatchObject([{ id: 1 }]);
  });

  test("finish() answers what is under way, takes nothing new, and closes", async () => {
    input.write(`${ping(1)}\n`);
    await tick();
    await transport.finish(60_000, () => {});
    input.write(`${ping(2)}\n`);
    await tick();
    await transport.send({ jsonrpc: "2.0", id: 1, result: {} });
    await closed;
    expect(messages).toMatchObject([{ id: 1 }]);
  });

  test("finish() answers what is left at its limit with an error, once the rest has been told", async () => {
    input.write(`${ping(1)}\n`);
    await tick();
    const told: string[] = [];
    await transport.finish(1, () => void told.push("told"));
    await closed;
    expect(told).toEqual(["told"]);
    expect(written()).toMatchObject([
      { id: 1, error: { message: expect.stringMatching(/stopping/) as string } },
    ]);
  });

  test("finish() of a transport that is closed keeps nothing alive", async () => {
    input.end();
    await closed;
    vi.useFakeTimers();
    await transport.finish(60_000, () => {});
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  test("refuses an id that is in use", async () => {
    input.write(`${ping(1)}\n${ping(1)}\n`);
    await tick();
    expect(messages).toHaveLength(1);
    expect(written()).toMatchObject([{ id: null, error: { code: -32600 } }]);
  });

  test("a request that never ends holds up neither the end of the input nor a stop", async () => {
    const listen = { jsonrpc: "2.0", id: 1, method: "subscriptions/listen" };
    input.end(`${JSON.stringify(listen)}\n`);
    await closed;
    expect(messages).toMatchObject([{ id: 1 }]);
  });

  test("closes when its output breaks", async () => {
    output.destroy(new Error("EPIPE"));
    await expect(closed).resolves.toBeUndefined();
  });
});
