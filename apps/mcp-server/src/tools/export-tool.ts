import { z } from "zod";
import { McpAccelError } from "../errors.ts";
import type { Task } from "../swarm/types.ts";
import { jsonBytes } from "./result-room.ts";
import { id, taskStatus } from "./schemas.ts";
import type { Services } from "./services.ts";
import { defineTool, readOnly, type Tool } from "./tool.ts";

/** Lines are gathered up to this; escaped once more, as the text of a message, JSON takes at most twice its size. */
const CHUNK_BYTES = 64 * 1024;

export function exportTools({ store, exports, maxResultBytes }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "export_tasks",
      title: "Export tasks",
      description:
        "Exports every matching task as one JSON object a line. With delivery 'progress' the lines arrive in the messages of progress notifications, at the reader's pace and without a bound on their number; with 'result' they arrive in the result, up to the server's memory limit for one stream.",
      input: z.strictObject({
        delivery: z.enum(["result", "progress"]).default("result"),
        status: taskStatus.optional().describe("Only tasks of this status"),
        agentId: id("Only tasks of this agent").optional(),
        swarmId: id("Only tasks of this swarm").optional(),
      }),
      output: z.object({
        rows: z.number(),
        bytes: z.number(),
        chunks: z.number(),
        data: z
          .string()
          .nullable()
          .describe("The lines; null when they were delivered as progress"),
      }),
      annotations: readOnly,
      tier: "slow",
      run: async ({ delivery, ...filter }, context) => {
        // A message may have half of a stream's memory, as it waits for the one before it.
        const counted = new CountedLines(store.exportTasks(filter), 2 * maxResultBytes);
        if (delivery === "result") {
          const data = await exports.collect(counted.chunks(), context.signal);
          return { ...counted.totals, data };
        }
        if (!context.wantsProgress) throw progressTokenMissing();
        const decoder = new TextDecoder();
        let progress = 0;
        await exports.stream(
          counted.chunks(),
          (chunk) => context.progress({ progress: ++progress, message: decoder.decode(chunk) }),
          context.signal,
        );
        return { ...counted.totals, data: null };
      },
    }),
  ];
}

/** Encodes tasks as lines, gathers them to chunks of bounded size, and counts what it made. */
class CountedLines {
  readonly totals = { rows: 0, bytes: 0, chunks: 0 };
  readonly #tasks: AsyncIterable<Task>;
  readonly #maxMessageBytes: number;

  constructor(tasks: AsyncIterable<Task>, maxMessageBytes: number) {
    this.#tasks = tasks;
    this.#maxMessageBytes = maxMessageBytes;
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    let lines: Uint8Array[] = [];
    let bytes = 0;
    for await (const task of this.#tasks) {
      const line = this.#line(task);
      if (lines.length > 0 && bytes + line.byteLength > CHUNK_BYTES) {
        yield this.#count(lines, bytes);
        lines = [];
        bytes = 0;
      }
      lines.push(line);
      bytes += line.byteLength;
    }
    if (lines.length > 0) yield this.#count(lines, bytes);
  }

  #line(task: Task): Uint8Array {
    const json = JSON.stringify(task);
    const line = new TextEncoder().encode(`${json}\n`);
    if (2 * line.byteLength <= this.#maxMessageBytes) return line;
    const messageBytes = jsonBytes(json);
    if (messageBytes > this.#maxMessageBytes)
      throw taskTooLarge(task.id, messageBytes, this.#maxMessageBytes);
    return line;
  }

  #count(lines: readonly Uint8Array[], bytes: number): Uint8Array {
    this.totals.rows += lines.length;
    this.totals.bytes += bytes;
    this.totals.chunks += 1;
    const chunk = new Uint8Array(bytes);
    let offset = 0;
    for (const line of lines) {
      chunk.set(line, offset);
      offset += line.byteLength;
    }
    return chunk;
  }
}

function taskTooLarge(taskId: string, bytes: number, maxBytes: number): McpAccelError {
  return new McpAccelError(
    "TASK_TOO_LARGE",
    `Task "${taskId}" takes ${bytes} bytes in a message and may take ${maxBytes}. Raise guard.streamMaxMemoryBytes, or leave the task out by a filter.`,
  );
}

function progressTokenMissing(): McpAccelError {
  return new McpAccelError(
    "PROGRESS_TOKEN_MISSING",
    "delivery 'progress' needs a progressToken in the request's _meta. Ask for progress notifications, or use delivery 'result'.",
  );
}
