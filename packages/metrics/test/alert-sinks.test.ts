import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client as ClientV2, InMemoryTransport as MemoryV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { InMemoryTransport as MemoryV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as McpServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { McpServer as McpServerV2 } from "@modelcontextprotocol/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { logSink, mcpLogSink } from "../src/alerts.ts";
import type { AlertEvent, LoggingServer } from "../src/alerts.ts";
import { alertEvent, ended, settle } from "./alert-support.ts";

describe("sinks: log", () => {
  test("each alert is one line at the level of its severity, and its end an info", () => {
    const lines: string[] = [];
    const sink = logSink((level, message) => lines.push(`${level}: ${message}`));
    const critical = alertEvent({ severity: "critical" });
    void sink.deliver(critical);
    void sink.deliver(ended(critical));
    void sink.deliver({ ...ended(alertEvent()), reason: "no-data" });
    expect(lines).toEqual([
      "error: firing DiskFull: a disk is full",
      "info: resolved DiskFull: a disk is full",
      "info: resolved DiskFull (its data vanished): a disk is full",
    ]);
    expect(() => logSink(console as never)).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option: "write" }),
    );
  });
});

interface Message {
  readonly level: string;
  readonly logger?: string | undefined;
  readonly data: unknown;
}

interface Generation {
  readonly server: LoggingServer;
  readonly messages: Message[];
  connect(): Promise<void>;
  setLevel(level: "info" | "warning" | "error"): Promise<unknown>;
}

const info = { name: "alerts", version: "1.0.0" };

const generations: Record<string, (logging: boolean) => Generation> = {
  "sdk 1.x": (logging) => {
    const server = new McpServerV1(info, { capabilities: logging ? { logging: {} } : {} });
    const client = new ClientV1(info);
    const messages: Message[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      messages.push(params);
    });
    const [clientSide, serverSide] = MemoryV1.createLinkedPair();
    onTestFinished(async () => {
      await client.close();
    });
    return {
      server,
      messages,
      connect: async () => {
        await Promise.all([server.connect(serverSide), client.connect(clientSide)]);
      },
      setLevel: (level) => client.setLoggingLevel(level),
    };
  },
  "server 2.x": (logging) => {
    const server = new McpServerV2(info, { capabilities: logging ? { logging: {} } : {} });
    const client = new ClientV2(info);
    const messages: Message[] = [];
    client.setNotificationHandler("notifications/message", ({ params }) => {
      messages.push(params);
    });
    const [clientSide, serverSide] = MemoryV2.createLinkedPair();
    onTestFinished(async () => {
      await client.close();
    });
    return {
      server,
      messages,
      connect: async () => {
        await Promise.all([server.connect(serverSide), client.connect(clientSide)]);
      },
      setLevel: (level) => client.setLoggingLevel(level),
    };
  },
};

const severities = ["info", "warning", "critical"] as const;
const everySeverity: readonly AlertEvent[] = severities.map((severity) => alertEvent({ severity }));

describe.each(Object.keys(generations))("sinks: MCP client of %s", (name) => {
  const start = generations[name]!;

  test("it gets notifications/message at the level of the severity, for beginning and end", async () => {
    const it = start(true);
    await it.connect();
    const sink = mcpLogSink(it.server, { logger: "ops" });
    for (const event of everySeverity) await sink.deliver(event);
    await sink.deliver(ended(alertEvent({ severity: "critical" })));
    await settle();
    expect(it.messages.map(({ level }) => level)).toEqual([
      "info",
      "warning",
      "critical",
      "critical",
    ]);
    expect(it.messages[3]).toMatchObject({
      logger: "ops",
      data: {
        message: "resolved DiskFull: a disk is full",
        status: "resolved",
        labels: { alertname: "DiskFull" },
        startsAt: "2026-01-01T00:00:00.000Z",
        endsAt: "2026-01-01T00:01:00.000Z",
        fingerprint: "f1",
      },
    });
  });

  test("it gets nothing below the level it has set", async () => {
    const it = start(true);
    await it.connect();
    await it.setLevel("warning");
    const sink = mcpLogSink(it.server);
    for (const event of everySeverity) await sink.deliver(event);
    await settle();
    expect(it.messages.map(({ level }) => level)).toEqual(["warning", "critical"]);
  });

  test("without the capability, or without a client, nothing is sent and nothing thrown", async () => {
    const silent = start(false);
    await silent.connect();
    await mcpLogSink(silent.server).deliver(alertEvent());
    await settle();
    expect(silent.messages).toEqual([]);
    await mcpLogSink(start(true).server).deliver(alertEvent());
  });
});

describe("sinks: MCP", () => {
  test("over HTTP the level is that of the client's session", async () => {
    const server = new McpServerV1(info, { capabilities: { logging: {} } });
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "s7" });
    await server.connect(transport);
    const http = createServer(
      (request, response) => void transport.handleRequest(request, response),
    );
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const client = new ClientV1(info);
    onTestFinished(async () => {
      await client.close();
      http.closeAllConnections();
      http.close();
    });
    const levels: string[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      levels.push(params.level);
    });
    const { port } = http.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}/`);
    await client.connect(new StreamableHTTPClientTransport(url));
    await client.setLoggingLevel("error");
    const sink = mcpLogSink(server);
    // The client opens its stream when it likes; what comes before is lost.
    for (let turn = 0; levels.length < 3 && turn < 2000; turn += 1) {
      for (const event of everySeverity) await sink.deliver(event);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(new Set(levels)).toEqual(new Set(["critical"]));
  });

  test("the session of the transport is named, and another when it is given", async () => {
    const sessions: unknown[] = [];
    const server = {
      sendLoggingMessage: async (_message: unknown, sessionId?: string) => {
        sessions.push(sessionId);
      },
      server: { transport: { sessionId: "s1" } },
    };
    await mcpLogSink(server).deliver(alertEvent());
    await mcpLogSink(server, { sessionId: "s2" }).deliver(alertEvent());
    expect(sessions).toEqual(["s1", "s2"]);
  });

  test("something else than a server is refused", () => {
    expect(() => mcpLogSink({} as never)).toThrow(/sendLoggingMessage/);
    const server = { sendLoggingMessage: async () => undefined };
    expect(() => mcpLogSink(server, { logger: "" })).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option: "logger" }),
    );
  });
});
