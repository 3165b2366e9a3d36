import { z } from "zod";
import { McpAccelError } from "../errors.ts";
import type { Task } from "../swarm/types.ts";
import { id, taskStatus } from "./schemas.ts";
import type { Services } from "./services.ts";
import { defineTool, readOnly, type Tool } from "./tool.ts";

const TASKS_PER_CHUNK = 100;

export function exportTools({ store, exports }: Services): readonly Tool[] {
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
        const counted = new CountedLines(store.exportTasks(filter));
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

/** Encodes tasks as lines, a hundred to a chunk, and counts what it made. */
class CountedLines {
  readonly totals = { rows: 0, bytes: 0, chunks: 0 };
  readonly #tasks: AsyncIterable<Task>;

  constructor(tasks: AsyncIterable<Task>) {
    this.#tasks = tasks;
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    let lines: string[] = [];
    for await (const task of this.#tasks) {
      lines.push(JSON.stringify(task));
      if (lines.length < TASKS_PER_CHUNK) continue;
      yield this.#encode(lines);
      lines = [];
    }
    if (lines.length > 0) yield this.#encode(lines);
  }

  #encode(lines: readonly string[]): Uint8Array {
    const chunk = new TextEncoder().encode(`${lines.join("\n")}\n`);
    this.totals.rows += lines.length;
    this.totals.bytes += chunk.byteLength;
    this.totals.chunks += 1;
    return chunk;
  }
}

function progressTokenMissing(): McpAccelError {
  return new McpAccelError(
    "PROGRESS_TOKEN_MISSING",
    "delivery 'progress' needs a progressToken in the request's _meta. Ask for progress notifications, or use delivery 'result'.",
  );
}
