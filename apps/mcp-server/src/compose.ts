import type { Config } from "./config/options.ts";
import { CleanupStack } from "./cleanup-stack.ts";
import { batchFeature } from "./features/batch.ts";
import { cacheFeature } from "./features/cache.ts";
import { off } from "./features/feature.ts";
import { guardFeature } from "./features/guard.ts";
import { metricsFeature } from "./features/metrics.ts";
import { plainBulk, plainExports, plainGuard } from "./features/plain.ts";
import { plainHttp } from "./features/plain-http.ts";
import { isPublicAddress, poolFeature } from "./features/pool.ts";
import type { Host } from "./host/host.ts";
import { ResourceChanges } from "./host/resource-changes.ts";
import { SwarmResources } from "./host/resources.ts";
import { ToolRuntime } from "./host/tool-runtime.ts";
import type { Logger } from "./log.ts";
import type { Operations } from "./ops/ops-endpoint.ts";
import { SwarmEvents } from "./swarm/events.ts";
import { PublishingStore } from "./swarm/publishing-store.ts";
import { SqliteSwarmStore } from "./swarm/sqlite/sqlite-store.ts";
import { catalogue } from "./tools/catalogue.ts";
import type { Services } from "./tools/services.ts";
import { version } from "./version.ts";

export interface Composition extends AsyncDisposable {
  readonly host: Host;
  readonly operations: Operations;
}

const instructions =
  "Agents work on tasks and belong to swarms. Read with list_agents, list_tasks, swarm_status and agent_workload; change with create_agent, assign_task, complete_task and scale_swarm. Use assign_tasks or batch_call for many at once.";

/**
 * The only place that knows all five packages. A feature that is off is replaced by the plain service, and nothing of
 * its package runs.
 * @throws StoreOpenError when the database file cannot be used
 */
export function compose(config: Config, logger: Logger): Composition {
  const cleanup = new CleanupStack();
  const reportError = (error: unknown, where: string): void =>
    logger.warn({ where, error: describe(error) }, "error");
  const on = (name: "cache" | "pool" | "guard" | "batch" | "metrics"): boolean =>
    config[`features.${name}`] === "on";

  const maxResultBytes = maxResultBytesOf(config);
  const events = new SwarmEvents((error, { type }) => reportError(error, `event ${type}`));
  const store = cleanup.use(new PublishingStore(new SqliteSwarmStore(config.store), events));
  const pool = on("pool") ? cleanup.use(poolFeature(config)) : undefined;
  const guard = on("guard") ? cleanup.use(guardFeature(config, maxResultBytes)) : undefined;
  const batch = on("batch") ? cleanup.use(batchFeature(config, store)) : undefined;

  const services: Services = {
    store,
    events,
    bulk: batch ?? plainBulk(store),
    exports: guard ?? plainExports(maxResultBytes),
    http: pool ?? plainHttp(config["fetch.allowPrivate"] ? undefined : isPublicAddress),
    operations: {
      clearCache: async (selection) => cache?.clear(selection),
      stats: async () => stats(),
    },
    maxResultBytes,
    callTool: (name, args, context) => runtime.call(name, args, context),
  };
  const tools = catalogue(services);
  const cache = on("cache")
    ? cleanup.use(cacheFeature(config, tools, { store, events }))
    : undefined;
  const features = [cache, pool, guard, batch].filter((feature) => feature !== undefined);
  const metrics = on("metrics") ? cleanup.use(metricsFeature(tools, features)) : undefined;

  const runtime = new ToolRuntime(tools, {
    observe: metrics?.observe ?? (async (_call, next) => next()),
    around: cache?.around ?? (async (_call, next) => next()),
    onUnforeseen: (error, tool) => reportError(error, `tool ${tool}`),
    maxResultBytes,
  });
  const stats = (): Record<string, unknown> => ({
    version,
    uptimeSeconds: Math.round(process.uptime()),
    cpuSeconds: cpuSeconds(),
    rssBytes: process.memoryUsage.rss(),
    cache: (cache ?? off).stats(),
    pool: (pool ?? off).stats(),
    guard: (guard ?? off).stats(),
    batch: (batch ?? off).stats(),
  });

  const { guardResponse, guardTransport } = guard ?? plainGuard;
  const host: Host = {
    info: { name: "mcp-accel", title: "mcp-accel reference server", version },
    instructions,
    runtime,
    resources: new SwarmResources(store),
    changes: new ResourceChanges(events, (error) => reportError(error, "resource change")),
    guardResponse,
    guardTransport,
    stopWriting: () => store.stopWriting(),
    reportError,
  };
  const operations: Operations = {
    metrics: async (accept) => metrics?.exposition(accept),
    stats: async () => stats(),
    notReady: async () => {
      try {
        await store.probe();
        return undefined;
      } catch (error) {
        return `the store does not answer: ${(error as Error).message}`;
      }
    },
  };
  return { host, operations, [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose]() };
}

/** A result is sent as text and as structure; with what escaping adds, four times its size fits one stream. */
function maxResultBytesOf(config: Config): number {
  return Math.floor(config["guard.streamMaxMemoryBytes"] / 4);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function describe(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack } = error;
  return { name, message, code: (error as NodeJS.ErrnoException).code, stack };
}
