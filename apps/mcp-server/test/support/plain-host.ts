import { plainBulk, plainExports, plainGuard } from "../../src/features/plain.ts";
import { plainHttp } from "../../src/features/plain-http.ts";
import type { Host } from "../../src/host/host.ts";
import { ResourceChanges } from "../../src/host/resource-changes.ts";
import { SwarmResources } from "../../src/host/resources.ts";
import { ToolRuntime } from "../../src/host/tool-runtime.ts";
import { SwarmEvents } from "../../src/swarm/events.ts";
import { PublishingStore } from "../../src/swarm/publishing-store.ts";
import { SqliteSwarmStore } from "../../src/swarm/sqlite/sqlite-store.ts";
import { catalogue } from "../../src/tools/catalogue.ts";

/** The same tools in a host that has no part of the five packages and no switch in it. */
export function plainHost(
  like: Pick<Host, "info" | "instructions">,
  maxResultBytes: number,
): Host & AsyncDisposable {
  const events = new SwarmEvents(fail);
  const store = new PublishingStore(new SqliteSwarmStore(":memory:"), events);
  const tools = catalogue({
    store,
    events,
    bulk: plainBulk(store),
    exports: plainExports(maxResultBytes),
    http: plainHttp(undefined),
    operations: { clearCache: async () => {}, stats: async () => ({}) },
    maxResultBytes,
    callTool: (name, args, context) => runtime.call(name, args, context),
  });
  const runtime = new ToolRuntime(tools, {
    observe: (_call, next) => next(),
    around: (_call, next) => next(),
    onUnforeseen: fail,
    maxResultBytes,
  });
  return {
    ...like,
    runtime,
    resources: new SwarmResources(store),
    changes: new ResourceChanges(events, fail),
    ...plainGuard,
    stopWriting: () => store.stopWriting(),
    reportError: fail,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function fail(error: unknown): void {
  throw error;
}
