import type { AlertSink } from "./alert-dispatch.ts";
import type { AlertEvent } from "./alert-event.ts";
import { InvalidOptionError } from "./errors.ts";

export type LogLevel = "info" | "warn" | "error";

const LOG_LEVELS = { info: "info", warning: "warn", critical: "error" } as const;

/** Writes one line for each alert that begins or ends, by a function such as `(level, message, fields) => logger[level](fields, message)`. */
export function logSink(
  write: (level: LogLevel, message: string, fields: AlertEvent) => void,
): AlertSink {
  if (typeof write !== "function") throw new InvalidOptionError("write", "a function", write);
  return {
    name: "log",
    deliver: (event) => {
      const level = event.status === "firing" ? LOG_LEVELS[event.severity] : "info";
      write(level, messageOf(event), event);
    },
  };
}

/** What is used of an `McpServer` or `Server`, the same in `@modelcontextprotocol/sdk` 1.x and `@modelcontextprotocol/server` 2.x. */
export interface LoggingServer {
  sendLoggingMessage(
    message: {
      readonly level: "info" | "warning" | "critical";
      readonly logger?: string;
      readonly data: unknown;
    },
    sessionId?: string,
  ): Promise<void>;
  /** The low-level server of an `McpServer`. */
  readonly server?: object;
}

export interface McpLogSinkOptions {
  /** Default `mcp`; several sinks need names of their own. */
  readonly name?: string;
  /** Default `alerts`. */
  readonly logger?: string;
  /** Default: that of the server's transport. */
  readonly sessionId?: string;
}

/**
 * Tells the client of an MCP server by `notifications/message`. The server itself leaves out what is below the level that the client
 * has set, and everything when it does not declare `logging`. The end of an alert has the level of its beginning, so that whoever
 * saw one sees the other. Without a connection nothing is sent.
 */
export function mcpLogSink(server: LoggingServer, options: McpLogSinkOptions = {}): AlertSink {
  if (typeof server?.sendLoggingMessage !== "function") {
    throw new InvalidOptionError(
      "server",
      "an McpServer or Server with sendLoggingMessage()",
      server,
    );
  }
  const { name = "mcp", logger = "alerts", sessionId } = options;
  for (const [option, text] of Object.entries({ name, logger })) {
    if (typeof text !== "string" || text === "") {
      throw new InvalidOptionError(option, "a non-empty string", text);
    }
  }
  return {
    name,
    deliver: async (event) => {
      const transport = transportOf(server);
      if (transport === undefined) return;
      const session = sessionId ?? transport.sessionId;
      await server.sendLoggingMessage(
        { level: event.severity, logger, data: dataOf(event) },
        ...(session === undefined ? [] : [session]),
      );
    },
  };
}

function transportOf(server: LoggingServer): { readonly sessionId?: string } | undefined {
  const inner = (server.server ?? server) as {
    readonly transport?: { readonly sessionId?: string };
  };
  return inner.transport;
}

function dataOf(event: AlertEvent): object {
  const { status, labels, annotations, value, startsAtMs, endsAtMs, fingerprint, reason } = event;
  const startsAt = new Date(startsAtMs).toISOString();
  const ended = endsAtMs === undefined ? {} : { endsAt: new Date(endsAtMs).toISOString(), reason };
  const message = messageOf(event);
  return { message, status, labels, annotations, value, startsAt, ...ended, fingerprint };
}

function messageOf({ status, name, annotations, reason }: AlertEvent): string {
  const ending = status === "resolved" && reason === "no-data" ? " (its data vanished)" : "";
  return `${status} ${name}${ending}: ${annotations["summary"] ?? ""}`;
}
