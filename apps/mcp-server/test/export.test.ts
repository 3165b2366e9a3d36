import { afterEach, describe, expect, test } from "vitest";
import { exportTools } from "../src/tools/export-tool.ts";
import type { Services } from "../src/tools/services.ts";
import type { Task } from "../src/swarm/types.ts";
import { callContext } from "./support/call-context.ts";
import { connectHttp, connectStdio, eras, type TestClient } from "./support/clients.ts";
import { startServer, type TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** Escaped once it takes six times its length, and seven times as a part of a message. */
const worst = "\u0001".repeat(10_000);
const least = "524288";

let close: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of close.splice(0).toReversed()) await step();
  close = [];
});

async function expectLargestExported(client: TestClient): Promise<void> {
  await client.call("create_agent", { name: "Ada" });
  const titles = Array.from({ length: 8 }, (_, index) => `${"\u0001".repeat(190)}${index}`);
  for (const title of titles) {
    const assigned = await client.call("assign_task", { title, description: worst });
    const taskId = structured<{ task: { id: string } }>(assigned).task.id;
    structured(await client.call("complete_task", { taskId, result: worst }));
  }
  await client.call("assign_tasks", {
    tasks: Array.from({ length: 500 }, () => ({ title: "small" })),
  });
  const messages = progressOf(client);
  const result = await client.call(
    "export_tasks",
    { delivery: "progress" },
    { onprogress: () => {} },
  );
  expect(structured(result)).toMatchObject({ rows: 508, chunks: messages.length, data: null });
  for (const message of messages)
    expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThanOrEqual(145_000);
  const lines = messages.join("").trimEnd().split("\n");
  expect(lines).toHaveLength(508);
  const tasks = lines.map((line) => JSON.parse(line) as Task);
  expect(tasks.slice(0, 8).map(({ title }) => title)).toEqual(titles);
  for (const { description, result: came } of tasks.slice(0, 8))
    expect(description === worst && came === worst).toBe(true);
}

/** As it arrives: the v1 client drops progress that comes in one piece with the result. */
function progressOf({ client }: TestClient): string[] {
  const messages: string[] = [];
  const transport = client.transport as unknown as {
    onmessage: (message: Notification, extra: unknown) => void;
  };
  const deliver = transport.onmessage.bind(transport);
  transport.onmessage = (message, extra) => {
    if (message.method === "notifications/progress") messages.push(message.params?.message ?? "");
    deliver(message, extra);
  };
  return messages;
}

interface Notification {
  readonly method?: string;
  readonly params?: { readonly message?: string };
}

describe.each(eras)("the largest tasks that are legal, with a %s client", (era) => {
  test.each(["on", "off"])(
    "are exported as progress over HTTP with the least memory for a stream and the guard %s",
    async (guard) => {
      const server: TestServer = await startServer({
        "guard-stream-max-memory-bytes": least,
        "features-guard": guard,
      });
      close.push(() => server.close());
      const client = await connectHttp(era, server.url);
      close.push(() => client.close());
      await expectLargestExported(client);
    },
    30_000,
  );

  test("are exported as progress over stdio with the least memory for a stream", async () => {
    const folder = temporaryFolder();
    close.push(async () => folder.remove());
    const client = await connectStdio(era, [
      "--store",
      `${folder.path}/swarm.db`,
      "--guard-stream-max-memory-bytes",
      least,
    ]);
    close.push(() => client.close());
    await expectLargestExported(client);
  }, 30_000);
});

test("a task that no message can hold is named, with what it takes and what it may", async () => {
  const task = { id: "task_1", description: "x".repeat(5_000) } as Task;
  const services = {
    maxResultBytes: 1_024,
    store: {
      exportTasks: async function* tasks() {
        yield task;
      },
    },
    exports: {
      stream: async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) expect(chunk).toBeUndefined();
      },
    },
  } as unknown as Services;
  const [tool] = exportTools(services);
  const running = tool?.run({ delivery: "progress" }, { ...callContext, wantsProgress: true });
  await expect(running).rejects.toMatchObject({
    code: "TASK_TOO_LARGE",
    message: expect.stringMatching(
      /^Task "task_1" takes 50\d\d bytes in a message and may take 2048\. Raise guard/,
    ) as string,
  });
});
