export { batchCall } from "./mcp-batch-call.ts";
export { batchTool } from "./mcp-batch-tool.ts";
export { requestContext } from "./mcp-types.ts";
export type { BatchCallOptions, BatchCallTool } from "./mcp-batch-call.ts";
export type { BatchToolOptions, ItemBatcher } from "./mcp-batch-tool.ts";
export type { CallOutcome, CallsSchema } from "./mcp-calls.ts";
export type { CallContext } from "./mcp-tool-call.ts";
export type {
  HandlerExtra,
  RequestContext,
  TextContent,
  TextToolResult,
  ToolResult,
} from "./mcp-types.ts";
