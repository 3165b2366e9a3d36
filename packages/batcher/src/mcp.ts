export { batchCall } from "./mcp-batch-call.ts";
export { batchTool } from "./mcp-batch-tool.ts";
export { requestContext } from "./mcp-types.ts";
export type {
  BatchCallOptions,
  BatchCallTool,
  CallContext,
  CallOutcome,
} from "./mcp-batch-call.ts";
export type { BatchToolOptions, ItemBatcher } from "./mcp-batch-tool.ts";
export type {
  HandlerExtra,
  RequestContext,
  TextContent,
  TextToolResult,
  ToolResult,
} from "./mcp-types.ts";
