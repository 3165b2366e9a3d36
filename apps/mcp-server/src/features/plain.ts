import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { McpAccelError } from "../errors.ts";
import type { ToolMiddleware } from "../host/tool-runtime.ts";
import type { LineTransport } from "../stdio/line-transport.ts";
import type { SwarmStore } from "../swarm/store.ts";
import type { NewTask, Task } from "../swarm/types.ts";
import type { BulkOptions, BulkService, ExportService } from "../tools/services.ts";

/** The services as a server without the optimisations has them. */

export function plainBulk(store: SwarmStore): BulkService {
  const assign = async (task: NewTask): Promise<Task> => {
    const [outcome] = await store.assignTasks([task]);
    if (outcome === undefined || outcome instanceof Error) throw outcome;
    return outcome;
  };
  return {
    assign,
    assignAll: (tasks, options) => oneByOne(tasks, assign, options),
    runAll: (calls, options) => oneByOne(calls, (call) => call(options.signal), options),
  };
}

async function oneByOne<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  { signal, onProgress }: BulkOptions,
): Promise<readonly PromiseSettledResult<R>[]> {
  const outcomes: PromiseSettledResult<R>[] = [];
  for (const item of items) {
    signal.throwIfAborted();
    await setImmediate();
    outcomes.push(...(await Promise.allSettled([work(item)])));
    onProgress(outcomes.length, items.length);
  }
  return outcomes;
}

export function plainExports(maxBytes: number): ExportService {
  return {
    stream: async (chunks, consume, signal) => {
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        await consume(chunk);
      }
    },
    collect: async (chunks, signal) => {
      const kept: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of chunks) {
        signal.throwIfAborted();
        bytes += chunk.byteLength;
        if (bytes > maxBytes) throw exportTooLarge(maxBytes);
        kept.push(chunk);
      }
      return Buffer.concat(kept).toString("utf8");
    },
  };
}

export function exportTooLarge(maxBytes: number): McpAccelError {
  return new McpAccelError(
    "EXPORT_TOO_LARGE",
    `The export is larger than ${maxBytes} bytes. Use delivery 'progress', filter it, or raise guard.streamMaxMemoryBytes.`,
  );
}

const passThrough: ToolMiddleware = (_call, next) => next();

export const plainGuard = {
  guardResponse: (_response: ServerResponse): undefined => undefined,
  guardTransport: (transport: LineTransport): LineTransport => transport,
};

export const plainCache = {
  around: passThrough,
  clear: async (): Promise<void> => {},
};

export const plainMetrics = {
  observe: passThrough,
  follow: (): void => {},
  exposition: async (): Promise<undefined> => undefined,
};
