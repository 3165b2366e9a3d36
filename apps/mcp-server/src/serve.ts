import { banner } from "./banner.ts";
import { CleanupStack } from "./cleanup-stack.ts";
import { compose, type Composition } from "./compose.ts";
import { followConfig, type ReloadSource } from "./config/follow-config.ts";
import type { Config } from "./config/options.ts";
import { listen, type Listener } from "./http/listen.ts";
import { requireLoopback } from "./http/loopback.ts";
import { McpEndpoint } from "./http/mcp-endpoint.ts";
import { createLogger, type Logger } from "./log.ts";
import { OpsEndpoint } from "./ops/ops-endpoint.ts";
import { launcherGone } from "./launcher.ts";
import { serveStdio } from "./stdio/serve-stdio.ts";

export interface RunningServer extends AsyncDisposable {
  readonly url?: string;
  readonly opsUrl?: string;
  readonly banner?: string;
  /** Resolves when there is nobody left to serve. */
  readonly ended: Promise<void>;
  readonly apply: Composition["apply"];
}

export interface ServeOptions {
  readonly stdio: boolean;
  /** How to read the configuration again; without a file it does not change. */
  readonly reload?: ReloadSource | undefined;
}

/** Serves until the client has gone (stdio) or the process is told to stop (SIGINT, SIGTERM). */
export async function serve(config: Config, { stdio, reload }: ServeOptions): Promise<void> {
  const logger = createLogger(config["log.level"]);
  const stopped = Promise.race([stopSignal(logger), launcherGone(logger)]);
  const server = stdio ? startStdio(config, logger) : await startHttp(config, logger);
  if (server.banner !== undefined) console.log(server.banner);
  const reloading =
    reload === undefined
      ? undefined
      : followConfig(config, { ...reload, apply: server.apply, logger });
  try {
    await Promise.race([server.ended, stopped]);
  } finally {
    reloading?.[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  }
}

function startStdio(config: Config, logger: Logger): RunningServer {
  const composition = compose(config, logger);
  logger.info({ store: config.store }, "serving on stdin and stdout");
  const client = serveStdio(composition.host, {
    input: process.stdin,
    output: process.stdout,
    maxLineBytes: config["stdio.maxLineBytes"],
  });
  return {
    ended: client.gone,
    apply: composition.apply,
    [Symbol.asyncDispose]: async () => {
      await client.stop();
      await composition[Symbol.asyncDispose]();
    },
  };
}

/** @throws ConfigError, StoreOpenError or ListenError; nothing is left behind then. */
export async function startHttp(config: Config, logger: Logger): Promise<RunningServer> {
  requireLoopback(config["http.host"]);
  const cleanup = new CleanupStack();
  try {
    const { mcp, ops, apply } = await listenBoth(config, logger, cleanup);
    const url = `${mcp.url}/mcp`;
    return {
      url,
      opsUrl: ops.url,
      banner: banner(url, ops.url, config),
      ended: new Promise(() => {}),
      apply,
      [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose](),
    };
  } catch (error) {
    await cleanup[Symbol.asyncDispose]();
    throw error;
  }
}

async function listenBoth(
  config: Config,
  logger: Logger,
  cleanup: CleanupStack,
): Promise<{ mcp: Listener; ops: Listener; apply: Composition["apply"] }> {
  const composition = cleanup.use(compose(config, logger));
  const endpoint = new McpEndpoint(composition.host, {
    maxBodyBytes: config["http.maxBodyBytes"],
    maxSessions: config["http.maxSessions"],
    sessionIdleMs: config["http.sessionIdleMs"],
    replayBytes: config["http.replayBytes"],
  });
  const ops = new OpsEndpoint(
    {
      ...composition.operations,
      stats: async () => ({
        ...(await composition.operations.stats()),
        sessions: endpoint.sessions,
      }),
    },
    composition.host.reportError,
  );
  const common = { host: config["http.host"], requestTimeoutMs: config["http.requestTimeoutMs"] };
  const mcpListener = await listen({
    ...common,
    port: config["http.port"],
    handle: (request, response) => endpoint.handle(request, response),
  });
  cleanup.use(mcpListener);
  // Sessions end before the listener waits for its connections.
  cleanup.use(endpoint);
  const opsListener = await listen({
    ...common,
    port: config["ops.port"],
    handle: (request, response) => ops.handle(request, response),
  });
  return { mcp: mcpListener, ops: cleanup.use(opsListener), apply: composition.apply };
}

async function stopSignal(logger: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  process.once("SIGINT", resolve);
  process.once("SIGTERM", resolve);
  logger.info({ signal: await promise }, "stopping");
}
