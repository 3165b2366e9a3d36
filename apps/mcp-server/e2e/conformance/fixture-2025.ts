import { setTimeout as delay } from "node:timers/promises";
import { completable } from "@modelcontextprotocol/sdk/server/completable.js";
import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import {
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
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
import { contactForm, formWithDefaults, formWithEnums } from "./elicitation-schemas.ts";

/** A session of the 2025 protocols with everything that the suite asks of a server. */
export function createFixture2025(): McpServer {
  const mcp = new McpServer(
    { name: "conformance-fixture", version: "1.0.0" },
    { capabilities: { logging: {}, resources: { subscribe: true } } },
  );
  registerConstantTools(mcp);
  registerNotifyingTools(mcp);
  registerAskingTools(mcp);
  registerResources(mcp);
  registerPrompts(mcp);
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
    {
      description: "Its schema uses 2020-12 keywords",
      inputSchema: z.looseObject({}).meta(schema202012),
    },
    () => ({ content: [text("done")] }),
  );
}

function registerNotifyingTools(mcp: McpServer): void {
  mcp.registerTool(
    "test_tool_with_logging",
    { description: "Logs while it runs" },
    async (extra) => {
      for (const data of [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
      ]) {
        await extra.sendNotification({
          method: "notifications/message",
          params: { level: "info", data },
        });
        await delay(50);
      }
      return { content: [text("logged")] };
    },
  );
  mcp.registerTool(
    "test_tool_with_progress",
    { description: "Reports progress" },
    async (extra) => {
      const progressToken = extra._meta?.progressToken;
      for (const progress of [0, 50, 100]) {
        const params = { progress, total: 100 };
        if (progressToken !== undefined)
          await extra.sendNotification({
            method: "notifications/progress",
            params: { progressToken, ...params },
          });
        await delay(50);
      }
      return { content: [text("progressed")] };
    },
  );
  mcp.registerTool(
    "test_reconnection",
    { description: "Answers on another stream" },
    async (extra) => {
      extra.closeSSEStream?.();
      await delay(100);
      return { content: [text("answered after the stream was closed")] };
    },
  );
}

function registerAskingTools(mcp: McpServer): void {
  mcp.registerTool(
    "test_sampling",
    { description: "Asks the client's model", inputSchema: { prompt: z.string() } },
    async ({ prompt }, { requestId }) => {
      const messages = userMessages([text(prompt)]);
      const options = { relatedRequestId: requestId };
      const { content } = await mcp.server.createMessage({ messages, maxTokens: 100 }, options);
      return {
        content: [text(`LLM response: ${content.type === "text" ? content.text : content.type}`)],
      };
    },
  );
  mcp.registerTool(
    "test_elicitation",
    { description: "Asks the user", inputSchema: { message: z.string() } },
    async ({ message }, { requestId }) => {
      const params = { message, requestedSchema: contactForm };
      const answer = await mcp.server.elicitInput(params, { relatedRequestId: requestId });
      return { content: [text(`User response: ${JSON.stringify(answer)}`)] };
    },
  );
  const forms = {
    test_elicitation_sep1034_defaults: formWithDefaults,
    test_elicitation_sep1330_enums: formWithEnums,
  };
  for (const [name, requestedSchema] of Object.entries(forms))
    mcp.registerTool(name, { description: "Asks the user" }, async ({ requestId }) => {
      const params = { message: "Please fill in the form", requestedSchema };
      const { action, content } = await mcp.server.elicitInput(params, {
        relatedRequestId: requestId,
      });
      return {
        content: [
          text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`),
        ],
      };
    });
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
  mcp.server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  mcp.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
}

function registerPrompts(mcp: McpServer): void {
  for (const { name, description, content } of constantPrompts)
    mcp.registerPrompt(name, { description }, () => ({ messages: userMessages(content) }));
  mcp.registerPrompt(
    argumentsPrompt.name,
    {
      description: argumentsPrompt.description,
      argsSchema: {
        arg1: completable(z.string(), complete),
        arg2: completable(z.string(), complete),
      },
    },
    ({ arg1, arg2 }) => ({ messages: userMessages([text(argumentsText(arg1, arg2))]) }),
  );
  mcp.registerPrompt(
    embeddingPrompt.name,
    { description: embeddingPrompt.description, argsSchema: { resourceUri: z.string() } },
    ({ resourceUri }) => ({ messages: userMessages(resourcePrompt(resourceUri)) }),
  );
}
