import { typed } from "./checks.ts";
import { CacheOptionError } from "./errors.ts";
import { principalOf } from "./principal.ts";
import type { ToolCachePolicy, ToolCacheStore } from "./tool-cache.ts";
import { ToolCache } from "./tool-cache.ts";

type Fields = Readonly<Record<string, unknown>>;
type RunTool = (tool: Fields, args: unknown, context: unknown) => object | Promise<object>;

export interface CacheToolsOptions {
  /** The namespace of this server's entries; by default made from the server's name. */
  readonly server?: string;
  readonly tools?: Readonly<Record<string, ToolCachePolicy>>;
  readonly maxArgumentChars?: number;
  /** Who makes a request, from the context the SDK gives to tools; `undefined`: only public tools are cached for it. */
  readonly principal?: (context: unknown) => string | undefined;
}

/**
 * Caches the tools of an `McpServer`, of `@modelcontextprotocol/sdk` or `@modelcontextprotocol/server`, also those registered
 * later. A tool whose policy does not say is cached when it is annotated `readOnlyHint: true`. Arguments are taken as validated.
 * Disposing restores the server.
 *
 * @throws CacheOptionError when `server` is neither.
 */
export function cacheTools(
  server: object,
  cache: ToolCacheStore,
  options: CacheToolsOptions = {},
): Disposable {
  const host = server as { executeToolHandler?: RunTool };
  const original = host.executeToolHandler;
  if (typeof original !== "function" || typeof fields(server)["_registeredTools"] !== "object")
    throw new CacheOptionError("server", "an McpServer of the MCP SDK, version 1 or 2", server);
  const { principal = principalOf, tools = {}, ...rest } = options;
  typed("function")("principal", principal);
  const toolCache = new ToolCache(cache, { server: namespaceOf(server), ...rest, tools });
  let active = true;
  const cached: RunTool = async (tool, args, context) => {
    const run = (): object | Promise<object> => original.call(server, tool, args, context);
    if (!active) return run();
    const name = nameOf(tool, fields(fields(server)["_registeredTools"]));
    const policy = effectivePolicy(toolCache.policyOf(name), tool);
    const signal = signalOf(context);
    const call = { name, arguments: args, ...(signal === undefined ? {} : { signal }) };
    if (policy.readOnly !== true) return toolCache.callWith(policy, call, run);
    const who = policy.public === true ? "" : principal(context);
    if (name === "" || who === undefined || isTask(tool) || isAnswer(context)) return run();
    return toolCache.callWith(policy, { ...call, principal: who }, run);
  };
  const own = Object.getOwnPropertyDescriptor(server, "executeToolHandler");
  host.executeToolHandler = cached;
  return {
    [Symbol.dispose]() {
      active = false;
      if (host.executeToolHandler !== cached) return;
      if (own === undefined) delete host.executeToolHandler;
      else Object.defineProperty(server, "executeToolHandler", own);
    },
  };
}

function effectivePolicy(policy: ToolCachePolicy, tool: Fields): ToolCachePolicy {
  if (policy.readOnly !== undefined) return policy;
  return { ...policy, readOnly: fields(tool["annotations"])["readOnlyHint"] === true };
}

function nameOf(tool: Fields, registered: Fields): string {
  return Object.keys(registered).find((name) => registered[name] === tool) ?? "";
}

/** A tool that creates tasks answers later, and to one client. */
function isTask(tool: Fields): boolean {
  return typeof tool["handler"] === "object";
}

/** The request continues one that asked its client for input: its result depends on the answers. */
function isAnswer(context: unknown): boolean {
  const { inputResponses, requestState } = fields(fields(context)["mcpReq"]);
  if (inputResponses !== undefined) return true;
  return typeof requestState === "function" && requestState() !== undefined;
}

function signalOf(context: unknown): AbortSignal | undefined {
  const signal = fields(context)["signal"] ?? fields(fields(context)["mcpReq"])["signal"];
  return signal instanceof AbortSignal ? signal : undefined;
}

function namespaceOf(server: object): string {
  const { name } = fields(fields(fields(server)["server"])["_serverInfo"]);
  return typeof name === "string" ? `mcp:${name}` : "mcp";
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
