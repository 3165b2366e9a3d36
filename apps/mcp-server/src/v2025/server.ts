import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  CallToolRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
  type ListPromptsResult,
  type ListResourceTemplatesResult,
  type ListToolsResult,
} from "@modelcontextprotocol/sdk/types.js";
import { handle, type Extra } from "./handle.ts";
import type { Host } from "../host/host.ts";
import { getPrompt, listPrompts, PromptError } from "../host/prompts.ts";
import { resourceTemplates, UnknownResourceError } from "../host/resources.ts";
import { waitForReader } from "../http/caller.ts";
import { UnknownToolError } from "../host/tool-runtime.ts";
import { SwarmError } from "../swarm/errors.ts";
import type { ToolContext } from "../tools/tool.ts";
import { clip } from "../clip.ts";

/** Resources that one session may subscribe to. */
const MAX_SUBSCRIPTIONS = 1_000;
/** No resource has a longer one; what is subscribed to need not exist yet. */
const MAX_URI_LENGTH = 200;
const RESOURCE_NOT_FOUND = -32002;

type Server = McpServer["server"];

/** One session of the 2025 protocols, served by the v1 SDK. */
export function createServer2025(host: Host, transport: ToolContext["transport"]): McpServer {
  const mcp = new McpServer(host.info, { instructions: host.instructions });
  mcp.server.registerCapabilities({
    tools: {},
    prompts: {},
    resources: { subscribe: true, listChanged: true },
  });
  serveTools(mcp.server, host, transport);
  serveResources(mcp.server, host);
  serveSubscriptions(mcp.server, host);
  servePrompts(mcp.server);
  return mcp;
}

function serveTools(server: Server, host: Host, transport: ToolContext["transport"]): void {
  const listing = { tools: host.runtime.tools } as unknown as ListToolsResult;
  handle(server, ListToolsRequestSchema, () => listing);
  handle(server, CallToolRequestSchema, async ({ params }, extra) => {
    try {
      const context = contextOf(extra, transport);
      return await host.runtime.call(params.name, params.arguments, context);
    } catch (error) {
      if (error instanceof UnknownToolError) throw invalidParams(error);
      throw error;
    }
  });
}

function serveResources(server: Server, host: Host): void {
  handle(server, ListResourcesRequestSchema, async ({ params }) => {
    try {
      return await host.resources.list(params?.cursor);
    } catch (error) {
      throw error instanceof SwarmError ? invalidParams(error) : error;
    }
  });
  const templates = { resourceTemplates } as unknown as ListResourceTemplatesResult;
  handle(server, ListResourceTemplatesRequestSchema, () => templates);
  handle(server, ReadResourceRequestSchema, async ({ params }) => {
    try {
      return await host.resources.read(params.uri);
    } catch (error) {
      if (error instanceof UnknownResourceError) throw resourceNotFound(error);
      throw error;
    }
  });
}

function serveSubscriptions(server: Server, host: Host): void {
  const subscribed = new Set<string>();
  const report = (error: unknown): void => host.reportError(error, "notification");
  const subscription = host.changes.subscribe(({ uris, list }) => {
    if (list) server.sendResourceListChanged().catch(report);
    for (const uri of uris)
      if (subscribed.has(uri)) server.sendResourceUpdated({ uri }).catch(report);
  });
  server.onclose = () => subscription[Symbol.dispose]();
  handle(server, SubscribeRequestSchema, ({ params }) => {
    if (subscribed.size >= MAX_SUBSCRIPTIONS)
      throw new McpError(
        ErrorCode.InvalidRequest,
        `A session may subscribe to ${MAX_SUBSCRIPTIONS} resources; unsubscribe from some first`,
      );
    if (params.uri.length > MAX_URI_LENGTH)
      throw resourceNotFound(new UnknownResourceError(params.uri));
    subscribed.add(params.uri);
    return {};
  });
  handle(server, UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
}

function servePrompts(server: Server): void {
  const listing = { prompts: listPrompts() } as unknown as ListPromptsResult;
  handle(server, ListPromptsRequestSchema, () => listing);
  handle(server, GetPromptRequestSchema, ({ params }) => {
    try {
      return getPrompt(params.name, params.arguments);
    } catch (error) {
      if (error instanceof PromptError) throw invalidParams(error);
      throw error;
    }
  });
}

function contextOf(extra: Extra, transport: ToolContext["transport"]): ToolContext {
  const progressToken = extra._meta?.progressToken;
  const header = extra.requestInfo?.headers["mcp-protocol-version"];
  return {
    signal: extra.signal,
    principal: "local",
    transport,
    protocolVersion: typeof header === "string" ? header : undefined,
    wantsProgress: progressToken !== undefined,
    progress: async (update) => {
      if (progressToken === undefined) return;
      await waitForReader(extra.authInfo, update.message, extra.signal);
      await extra.sendNotification({
        method: "notifications/progress",
        params: { progressToken, ...update },
      });
    },
  };
}

function resourceNotFound({ message, uri }: UnknownResourceError): McpError {
  return new McpError(RESOURCE_NOT_FOUND, message, { uri: clip(uri, 200) });
}

function invalidParams(error: Error): McpError {
  return new McpError(ErrorCode.InvalidParams, error.message);
}
