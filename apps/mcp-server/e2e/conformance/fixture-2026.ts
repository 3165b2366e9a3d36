import { setTimeout as delay } from "node:timers/promises";
import {
  completable,
  fromJsonSchema,
  McpServer,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import {
  argumentsPrompt,
  argumentsText,
  complete,
  constantPrompts,
  constantTools,
  embeddingPrompt,
  failingTool,
  resourcePrompt,
  resources,
  schema202012,
  template,
  text,
  userMessages,
} from "./content.ts";
import { registerAsking, requestState } from "./input-required.ts";

/** A request of the 2026-07-28 protocol with everything that the suite asks of a server. */
export function createFixture2026(): McpServer {
  const mcp = new McpServer(
    { name: "conformance-fixture", version: "1.0.0" },
    {
      // The tools and prompts of a server that is made for one request cannot change.
      capabilities: { logging: {}, tools: { listChanged: false }, prompts: { listChanged: false } },
      requestState: { verify: (state, context) => requestState.verify(state, context) },
    },
  );
  registerConstantTools(mcp);
  registerRunningTools(mcp);
  registerResources(mcp);
  registerPrompts(mcp);
  registerAsking(mcp);
  return mcp;
}

function registerConstantTools(mcp: McpServer): void {
  for (const { name, description, content } of constantTools)
    mcp.registerTool(name, { description }, () => ({ content }));
  mcp.registerTool(failingTool.name, { description: failingTool.description }, () => {
    throw new Error(failingTool.message);
  });
  mcp.registerTool(
    "json_schema_2020_12_tool",
    { description: "Its schema uses 2020-12 keywords", inputSchema: fromJsonSchema(schema202012) },
    () => ({ content: [text("done")] }),
  );
  const region = z.string().meta({ "x-mcp-header": "Region" });
  mcp.registerTool(
    "test_header_parameter",
    { description: "Repeats an argument in a header", inputSchema: z.object({ region }) },
    (args) => ({ content: [text(args.region)] }),
  );
}

function registerRunningTools(mcp: McpServer): void {
  mcp.registerTool(
    "test_tool_with_progress",
    { description: "Reports progress" },
    async ({ mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        const params = { progress, total: 100 };
        if (progressToken !== undefined)
          await mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, ...params },
          });
        await delay(50);
      }
      return { content: [text("progressed")] };
    },
  );
  mcp.registerTool(
    "test_logging_tool",
    { description: "Logs while it runs" },
    async ({ mcpReq }) => {
      await mcpReq.log("info", "Tool execution started");
      return { content: [text("logged")] };
    },
  );
}

function registerResources(mcp: McpServer): void {
  for (const { name, uri, mimeType, body } of resources)
    mcp.registerResource(name, uri, { mimeType }, () => ({
      contents: [{ uri, mimeType, ...body }],
    }));
  const { name, uriTemplate, mimeType, body } = template;
  mcp.registerResource(
    name,
    new ResourceTemplate(uriTemplate, { list: undefined }),
    { mimeType },
    ({ href }, { id }) => ({ contents: [{ uri: href, mimeType, text: body(String(id)) }] }),
  );
}

function registerPrompts(mcp: McpServer): void {
  for (const { name, description, content } of constantPrompts)
    mcp.registerPrompt(name, { description }, () => ({ messages: userMessages(content) }));
  mcp.registerPrompt(
    argumentsPrompt.name,
    {
      description: argumentsPrompt.description,
      argsSchema: z.object({
        arg1: completable(z.string(), complete),
        arg2: completable(z.string(), complete),
      }),
    },
    ({ arg1, arg2 }) => ({ messages: userMessages([text(argumentsText(arg1, arg2))]) }),
  );
  mcp.registerPrompt(
    embeddingPrompt.name,
    { description: embeddingPrompt.description, argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({ messages: userMessages(resourcePrompt(resourceUri)) }),
  );
}
