import type { Config } from "./config/options.ts";
import { CleanupStack } from "./cleanup-stack.ts";
import { applyToSwitches } from "./features/apply-to-switches.ts";
import { batchFeature } from "./features/batch.ts";
import { cacheFeature } from "./features/cache.ts";
import { off, type Feature } from "./features/feature.ts";
import { guardFeature } from "./features/guard.ts";
import { metricsFeature } from "./features/metrics.ts";
import { plainBulk, plainCache, plainExports, plainGuard, plainMetrics } from "./features/plain.ts";
import { plainHttp } from "./features/plain-http.ts";
import { isPublicAddress, poolFeature } from "./features/pool.ts";
import { Switch } from "./features/switch.ts";
import {
  switchedBulk,
  switchedExports,
  switchedGuards,
  switchedHttp,
  switchedMiddleware,
} from "./features/switched.ts";
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
import type { HttpService, Services } from "./tools/services.ts";
import { version } from "./version.ts";

export interface Composition extends AsyncDisposable {
  readonly host: Host;
  readonly operations: Operations;
  /**
   * Puts changed options into effect for the calls that begin from now on: all of them, or none.
   * @throws what a feature throws that cannot be made with these options
   */
  readonly apply: (wanted: Config, changed: readonly string[]) => void;
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
  const switchable = <T extends Feature>(make: (config: Config) => T): Switch<T> =>
    cleanup.use(new Switch(make, config, (error) => reportError(error, "switching")));

  const maxResultBytes = maxResultBytesOf(config);
  const events = new SwarmEvents((error, { type }) => reportError(error, `event ${type}`));
  const store = cleanup.use(new PublishingStore(new SqliteSwarmStore(config.store), events));
  const pool = switchable((wanted) =>
    wanted["features.pool"] === "on" ? poolFeature(wanted) : { ...off, ...plainPool(wanted) },
  );
  const guard = switchable((wanted) =>
    wanted["features.guard"] === "on"
      ? guardFeature(wanted, maxResultBytes)
      : { ...off, ...plainExports(maxResultBytes), ...plainGuard },
  );
  const batch = switchable((wanted) =>
    wanted["features.batch"] === "on"
      ? batchFeature(wanted, store)
      : { ...off, ...plainBulk(store) },
  );

  const services: Services = {
    store,
    events,
    bulk: switchedBulk(batch),
    exports: switchedExports(guard),
    http: switchedHttp(pool),
    operations: {
      clearCache: (selection) => cache.use((current) => current.clear(selection)),
      stats: async () => stats(),
    },
    maxResultBytes,
    callTool: (name, args, context) => runtime.call(name, args, context),
  };
  const tools = catalogue(services);
  const cache = switchable((wanted) =>
    wanted["features.cache"] === "off"
      ? { ...off, ...plainCache }
      : cacheFeature(wanted, tools, {
          store,
          events,
          onMismatch: (tool) =>
            logger.warn({ tool }, "the cache would have served what is no longer true"),
        }),
  );
  const features = { cache, pool, guard, batch };
  const metrics = switchable((wanted) =>
    wanted["features.metrics"] === "on" ? metricsFeature(tools, []) : { ...off, ...plainMetrics },
  );
  for (const { current } of Object.values(features))
    metrics.current.follow([], current.collectables);

  const runtime = new ToolRuntime(tools, {
    observe: switchedMiddleware(metrics, ({ observe }) => observe),
    around: switchedMiddleware(cache, ({ around }) => around),
    onUnforeseen: (error, tool) => reportError(error, `tool ${tool}`),
    maxResultBytes,
  });
  const stats = (): Record<string, unknown> => ({
    version,
    uptimeSeconds: Math.round(process.uptime()),
    cpuSeconds: cpuSeconds(),
    rssBytes: process.memoryUsage.rss(),
    cache: cache.current.stats(),
    pool: pool.current.stats(),
    guard: guard.current.stats(),
    batch: batch.current.stats(),
  });

  const host: Host = {
    info: { name: "mcp-accel", title: "mcp-accel reference server", version },
    instructions,
    runtime,
    resources: new SwarmResources(store),
    changes: new ResourceChanges(events, (error) => reportError(error, "resource change")),
    ...switchedGuards(guard),
    stopWriting: () => store.stopWriting(),
    reportError,
  };
  const operations: Operations = {
    metrics: (accept) => metrics.use((current) => current.exposition(accept)),
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
  const apply = (wanted: Config, changed: readonly string[]): void =>
    applyToSwitches({ ...features, metrics }, wanted, changed, reportError);
  return { host, operations, apply, [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose]() };
}

/** A result is sent as text and as structure; with what escaping adds, four times its size fits one stream. */
function maxResultBytesOf(config: Config): number {
  return Math.floor(config["guard.streamMaxMemoryBytes"] / 4);
}

function plainPool(config: Config): HttpService {
  return plainHttp(config["fetch.allowPrivate"] ? undefined : isPublicAddress);
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
