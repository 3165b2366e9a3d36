import {
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  type CallToolResult,
  type GetPromptResult,
  type ListPromptsResult,
  type ListResourceTemplatesResult,
  type ListToolsResult,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { Host } from "../host/host.ts";
import { getPrompt, listPrompts, PromptError } from "../host/prompts.ts";
import { resourceTemplates, UnknownResourceError } from "../host/resources.ts";
import { waitForReader } from "../http/caller.ts";
import { UnknownToolError } from "../host/tool-runtime.ts";
import { SwarmError } from "../swarm/errors.ts";
import type { ToolContext } from "../tools/tool.ts";

/** These lists change with the version of the server only. */
const fixedList = { ttlMs: 3_600_000, cacheScope: "public" } as const;

type Server = McpServer["server"];

/** One request (HTTP) or one connection (stdio) of the 2026-07-28 protocol, served by the v2 SDK. */
export function createServer2026(host: Host, transport: ToolContext["transport"]): McpServer {
  const mcp = new McpServer(host.info, {
    instructions: host.instructions,
    cacheHints: {
      "tools/list": fixedList,
      "prompts/list": fixedList,
      "resources/templates/list": fixedList,
      "server/discover": fixedList,
    },
  });
  mcp.server.registerCapabilities({
    tools: {},
    prompts: {},
    resources: { subscribe: true, listChanged: true },
  });
  serveTools(mcp.server, host, transport);
  serveResources(mcp.server, host);
  servePrompts(mcp.server);
  return mcp;
}

function serveTools(server: Server, host: Host, transport: ToolContext["transport"]): void {
  const listing = { tools: host.runtime.tools } as unknown as ListToolsResult;
  server.setRequestHandler("tools/list", () => listing);
  server.setRequestHandler("tools/call", async ({ params }, context) => {
    try {
      return (await host.runtime.call(
        params.name,
        params.arguments,
        contextOf(context, transport),
      )) as CallToolResult;
    } catch (error) {
      if (error instanceof UnknownToolError) throw invalidParams(error);
      throw error;
    }
  });
}

function serveResources(server: Server, host: Host): void {
  server.setRequestHandler("resources/list", async ({ params }) => {
    try {
      return await host.resources.list(params?.cursor);
    } catch (error) {
      throw error instanceof SwarmError ? invalidParams(error) : error;
    }
  });
  const templates = { resourceTemplates } as unknown as ListResourceTemplatesResult;
  server.setRequestHandler("resources/templates/list", () => templates);
  server.setRequestHandler("resources/read", async ({ params }) => {
    try {
      return await host.resources.read(params.uri);
    } catch (error) {
      if (error instanceof UnknownResourceError) throw new ResourceNotFoundError(error.uri);
      throw error;
    }
  });
}

function servePrompts(server: Server): void {
  const listing = { prompts: listPrompts() } as unknown as ListPromptsResult;
  server.setRequestHandler("prompts/list", () => listing);
  server.setRequestHandler("prompts/get", ({ params }) => {
    try {
      return getPrompt(params.name, params.arguments) as unknown as GetPromptResult;
    } catch (error) {
      if (error instanceof PromptError) throw invalidParams(error);
      throw error;
    }
  });
}

function contextOf(
  { http, mcpReq }: ServerContext,
  transport: ToolContext["transport"],
): ToolContext {
  const progressToken = mcpReq._meta?.progressToken;
  return {
    signal: mcpReq.signal,
    principal: "local",
    transport,
    protocolVersion: "2026-07-28",
    wantsProgress: progressToken !== undefined,
    progress: async (update) => {
      if (progressToken === undefined) return;
      await waitForReader(http?.authInfo, update.message, mcpReq.signal);
      await mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, ...update },
      });
    },
  };
}

function invalidParams(error: Error): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, error.message);
}
