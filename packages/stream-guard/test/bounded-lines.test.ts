import { PassThrough, Readable } from "node:stream";
import * as fc from "fast-check";
import { StdioServerTransport as StdioV1 } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StdioServerTransport as StdioV2 } from "@modelcontextprotocol/server/stdio";
import { describe, expect, test } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { MessageTooLargeError, StreamingSession } from "@mcp-accel/stream-guard";
import { BoundedLines, guardTransport } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { KIB, sdkOf } from "./mcp-clients.ts";
import { INITIALIZE, until } from "./mcp-http.ts";

function sessionOf(maxMemoryBytes = 64 * KIB): { guard: StreamGuard; session: StreamingSession } {
  const { now, schedule } = new FakeTime();
  const guard = new StreamGuard({ now, schedule });
  return { guard, session: guard.open({ maxMemoryBytes }) };
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text) + 1;
}

async function lines(chunks: readonly (Buffer | string)[], maxLineBytes: number) {
  const { session } = sessionOf();
  const dropped: number[] = [];
  const onDropped = ({ receivedBytes }: MessageTooLargeError): void => {
    dropped.push(receivedBytes);
  };
  const source = Readable.from(chunks, { objectMode: false });
  const output = new BoundedLines(source, session, { maxLineBytes, onDropped });
  const parts: Buffer[] = [];
  for await (const part of output) parts.push(part as Buffer);
  expect(session.memoryUsageBytes).toBe(0);
  return { text: Buffer.concat(parts).toString("latin1"), dropped, peakBytes: session.peakBytes };
}

test("however the input is cut, lines that are short enough come through whole and the others are counted", async () => {
  const line = fc.string({ unit: fc.constantFrom("a", "é", "\r"), maxLength: 20 });
  const cuts = fc.array(fc.nat(7), { maxLength: 400 });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 30 }), cuts, async (texts, sizes) => {
      const input = Buffer.from(texts.map((text) => `${text}\n`).join(""));
      const chunks: Buffer[] = [];
      for (let at = 0, index = 0; at < input.length; index += 1) {
        const size = (sizes[index] ?? 50) + 1;
        chunks.push(input.subarray(at, at + size));
        at += size;
      }
      const kept = texts.filter((text) => bytesOf(text) <= 16).map((text) => `${text}\n`);
      const left = texts.filter((text) => bytesOf(text) > 16).map(bytesOf);
      const { text, dropped, peakBytes } = await lines(chunks, 16);
      expect(text).toBe(Buffer.from(kept.join("")).toString("latin1"));
      expect(dropped).toEqual(left);
      expect(peakBytes).toBeLessThanOrEqual(32);
    }),
    { numRuns: 200 },
  );
});

test("a line without an end is held to its limit, whatever comes", async () => {
  const { session } = sessionOf();
  const source = new PassThrough();
  const dropped: MessageTooLargeError[] = [];
  const output = new BoundedLines(source, session, {
    maxLineBytes: 32 * KIB,
    onDropped: (error) => dropped.push(error),
  }).resume();
  for (let count = 0; count < 1000; count += 1) {
    source.write(Buffer.alloc(16 * KIB, "x"));
    await settle();
    expect(session.memoryUsageBytes).toBeLessThanOrEqual(32 * KIB);
  }
  expect(dropped).toEqual([]);
  source.write("\nfine\n");
  await until(() => dropped.length === 1);
  expect(dropped[0]).toMatchObject({
    code: "STREAM_GUARD_MESSAGE_TOO_LARGE",
    receivedBytes: 16_000 * KIB + 1,
    maxBytes: 32 * KIB,
  });
  output.destroy();
  await settle();
  expect(session.memoryUsageBytes).toBe(0);
  expect(source.listenerCount("data")).toBe(0);
});

test("a line for which the session has no room is left out too, and the next one is not", async () => {
  const { session } = sessionOf();
  const source = new PassThrough();
  let dropped = 0;
  const output = new BoundedLines(source, session, { onDropped: () => (dropped += 1) });
  const seen: string[] = [];
  output.on("data", (line: Buffer) => seen.push(line.toString()));
  source.write("x".repeat(40 * KIB));
  source.write(`${"x".repeat(40 * KIB)}\nshort\n`);
  await until(() => dropped === 1 && seen.length === 1);
  expect(seen).toEqual(["short\n"]);
  await session.close();
  source.write("half ");
  source.write("a line\nwhole\n");
  await until(() => dropped === 2 && seen.length === 2);
  expect(seen).toEqual(["short\n", "whole\n"]);
});

test("what is not read is not taken from the source", async () => {
  const { session } = sessionOf();
  let made = 0;
  const source = new Readable({
    read() {
      made += 1;
      this.push(Buffer.from(`${"x".repeat(16 * KIB - 1)}\n`));
    },
  });
  const output = new BoundedLines(source, session);
  await settle();
  expect(made).toBeLessThan(8);
  output.once("readable", () => {});
  for (let turn = 0; turn < 50; turn += 1) await settle();
  expect(made).toBeLessThan(20);
  expect(output.pause()).toBe(output);
  expect(source.isPaused()).toBe(true);
  output.destroy();
});

test("the source's failure and its early end are the output's", async () => {
  const { session } = sessionOf();
  const failing = new PassThrough();
  const output = new BoundedLines(failing, session);
  const failed = new Promise((resolve) => {
    output.once("error", resolve);
  });
  failing.destroy(new Error("broken pipe"));
  expect(await failed).toMatchObject({ message: "broken pipe" });
  const gone = new PassThrough();
  const other = new BoundedLines(gone, session);
  gone.destroy();
  await until(() => other.destroyed);
});

test.each([
  ["maxLineBytes", 0],
  ["onDropped", 1],
])("the wrong option %s is named", (argument, value) => {
  const options = { [argument]: value };
  expect(() => new BoundedLines(new PassThrough(), sessionOf().session, options)).toThrow(
    expect.objectContaining({ argument }),
  );
});

describe.each(["v1", "v2"] as const)("a %s stdio server behind it", (version) => {
  const sdk = sdkOf(version);

  function served() {
    const { guard, session } = sessionOf(1024 * KIB);
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const dropped: number[] = [];
    const input = new BoundedLines(stdin, session, {
      maxLineBytes: 64 * KIB,
      onDropped: ({ receivedBytes }) => dropped.push(receivedBytes),
    });
    const Stdio = version === "v1" ? StdioV1 : (StdioV2 as unknown as typeof StdioV1);
    const transport = guardTransport(new Stdio(input, stdout), guard, {
      session,
      destination: stdout,
      maxRequests: 10,
    });
    let output = "";
    stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const answers = () =>
      output
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { id: number; error?: { code: number; data: object } });
    return { guard, session, stdin, transport, dropped, answers };
  }

  test("goes on after a line that was too long, and answers what was sent in tiny pieces", async () => {
    const { stdin, transport, dropped, answers, guard } = served();
    await sdk.server().connect(transport);
    for (const byte of Buffer.from(`${JSON.stringify(INITIALIZE)}\n`)) stdin.write(Buffer.of(byte));
    await until(() => answers().length === 1);
    for (let count = 0; count < 200; count += 1) stdin.write("x".repeat(KIB));
    const ping = { jsonrpc: "2.0", id: 2, method: "ping" };
    stdin.write(`\n${JSON.stringify(ping)}\n`);
    await until(() => answers().length === 2);
    expect(answers()[1]).toMatchObject({ id: 2, result: {} });
    expect(dropped).toEqual([200 * KIB + 1]);
    await transport.close();
    expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0 });
  });

  test("begins no more requests at once than it may, and answers the others with an error", async () => {
    const { stdin, transport, answers } = served();
    const gate = Promise.withResolvers<void>();
    let running = 0;
    const server = sdk.server();
    server.registerTool("wait", {}, async () => {
      running += 1;
      await gate.promise;
      return { content: [] };
    });
    await server.connect(transport);
    stdin.write(`${JSON.stringify(INITIALIZE)}\n`);
    await until(() => answers().length === 1);
    const params = { name: "wait", arguments: {} };
    // The same id again and again must not count as one request.
    for (let count = 0; count < 100; count += 1)
      stdin.write(
        `${JSON.stringify({ jsonrpc: "2.0", id: count % 2 === 0 ? 7 : 100 + count, method: "tools/call", params })}\n`,
      );
    await until(() => answers().length === 91 && running >= 10);
    for (let turn = 0; turn < 20; turn += 1) await settle();
    expect(running).toBe(10);
    expect(answers()[1]?.error).toMatchObject({
      code: -32_000,
      data: { code: "STREAM_GUARD_QUEUE_FULL", queueLimit: 10 },
    });
    gate.resolve();
    await until(() => answers().length === 101);
    stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 500, method: "ping" })}\n`);
    await until(() => answers().length === 102);
    expect(answers().at(-1)).toMatchObject({ id: 500, result: {} });
    await transport.close();
  });
});

test("a line that fits the session is passed on, also when twice its length would not fit", async () => {
  const { session } = sessionOf(64 * KIB);
  const dropped: unknown[] = [];
  const chunks = [Buffer.alloc(40 * KIB, "x"), Buffer.alloc(20 * KIB, "x"), Buffer.from("\n")];
  const source = Readable.from(chunks, { objectMode: false });
  const output = new BoundedLines(source, session, { onDropped: (error) => dropped.push(error) });
  expect(Buffer.concat(await output.toArray())).toHaveLength(60 * KIB + 1);
  expect(dropped).toEqual([]);
  expect(session.peakBytes).toBeLessThanOrEqual(64 * KIB);
});

test("a line too long that the input ends in the middle of is reported too", async () => {
  expect(await lines(["ok\n", "x".repeat(50), "y".repeat(50)], 20)).toMatchObject({
    text: "ok\n",
    dropped: [100],
  });
});
