import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { Protocol, type RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  ErrorCode,
  McpError,
  type Result,
  type ServerNotification,
  type ServerRequest,
} from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

interface RequestSchema extends z.ZodType {
  readonly shape: { readonly method: z.ZodLiteral<string> };
}

/**
 * Serves a method of the protocol. The SDK answers params of the wrong shape with an internal error, or with the validator's own
 * data as text, and checks every tool result once more: here the params are checked first and refused in a sentence.
 */
export function handle<S extends RequestSchema>(
  server: McpServer["server"],
  schema: S,
  handler: (request: z.output<S>, extra: Extra) => object | Promise<object>,
): void {
  const anyParams = z.looseObject({ method: schema.shape.method, params: z.unknown().optional() });
  const checked = async (request: unknown, extra: Extra): Promise<Result> => {
    const parsed = schema.safeParse(request);
    if (!parsed.success) throw new McpError(ErrorCode.InvalidParams, sentence(parsed.error));
    return (await handler(parsed.data, extra)) as Result;
  };
  Protocol.prototype.setRequestHandler.call(server, anyParams as never, checked as never);
}

function sentence({ issues }: z.ZodError): string {
  const parts = issues.slice(0, 10).map(({ path, message }) => `${path.join(".")}: ${message}`);
  return `Invalid params: ${parts.join("; ")}`;
}
