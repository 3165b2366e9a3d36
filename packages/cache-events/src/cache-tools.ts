import { AskWatch } from "./ask-watch.ts";
import { typed } from "./checks.ts";
import { Claims } from "./claims.ts";
import { CacheOptionError } from "./errors.ts";
import { Implementations } from "./implementations.ts";
import type { Fields } from "./mcp-shapes.ts";
import { fields, isAnswer, metaOf, namespaceOf, signalOf, versionOf } from "./mcp-shapes.ts";
import { override } from "./override.ts";
import { principalOfServer } from "./principal.ts";
import type { ToolCall, ToolCacheStore } from "./tool-cache.ts";
import { ToolCache } from "./tool-cache.ts";
import type { ToolCachePolicy } from "./tool-policy.ts";
import { keepPersonal } from "./tool-result.ts";

type RunTool = (tool: Fields, args: unknown, context: unknown) => object | Promise<object>;
type PollTask = (tool: Fields, request: unknown, context: unknown) => Promise<object>;
type Validate = (tool: Fields, value: unknown, name: string) => unknown;

export interface CacheToolsOptions {
  /** The namespace of this server's entries; by default made from the server's name. */
  readonly server?: string;
  readonly tools?: Readonly<Record<string, ToolCachePolicy>>;
  readonly maxArgumentChars?: number;
  /** Who makes a request, from the context the SDK gives to tools; `undefined`: only public tools are cached for it. */
  readonly principal?: (context: unknown) => string | undefined | Promise<string | undefined>;
}

const claims = new Claims("tools");

/**
 * Caches the tools of an `McpServer`, of `@modelcontextprotocol/sdk` or `@modelcontextprotocol/server`, also those registered
 * later. A tool whose policy does not say is cached when it is annotated `readOnlyHint: true`. Arguments are taken as validated.
 * Disposing restores the server.
 *
 * @throws CacheOptionError when `server` is neither, or when `cache` caches its tools already.
 */
export function cacheTools(
  server: object,
  cache: ToolCacheStore,
  options: CacheToolsOptions = {},
): Disposable {
  const { executeToolHandler, _registeredTools } = fields(server);
  if (typeof executeToolHandler !== "function" || typeof _registeredTools !== "object")
    throw new CacheOptionError("server", "an McpServer of the MCP SDK, version 1 or 2", server);
  claims.check(server, cache);
  const tools = new CachedTools(server, cache, options);
  const release = claims.take(server, cache);
  return {
    [Symbol.dispose]() {
      tools.restore();
      release();
    },
  };
}

class CachedTools {
  readonly #server: object;
  readonly #cache: ToolCache;
  readonly #principal: NonNullable<CacheToolsOptions["principal"]>;
  readonly #implementations: Implementations;
  readonly #watch: AskWatch;
  readonly #restores: (() => void)[] = [];
  #active = true;

  constructor(server: object, cache: ToolCacheStore, options: CacheToolsOptions) {
    const { principal = principalOfServer(), tools = {}, ...rest } = options;
    typed("function")("principal", principal);
    this.#server = server;
    this.#cache = new ToolCache(cache, { server: namespaceOf(server), ...rest, tools });
    this.#principal = principal;
    this.#implementations = new Implementations(versionOf(server));
    this.#override<RunTool>(
      server,
      "executeToolHandler",
      (run) => (tool, args, context) => this.#call(run, tool, args, context),
    );
    this.#override<PollTask>(
      server,
      "handleAutomaticTaskPolling",
      (poll) => (tool, request, context) => this.#poll(poll, tool, request, context),
    );
    this.#watch = new AskWatch(server);
  }

  restore(): void {
    this.#active = false;
    this.#watch.restore();
    for (const restore of this.#restores.splice(0)) restore();
  }

  async #call(run: RunTool, tool: Fields, args: unknown, context: unknown): Promise<object> {
    if (!this.#active) return run.call(this.#server, tool, args, context);
    const name = this.#nameOf(tool);
    const policy = this.#policyOf(name, tool);
    const signal = signalOf(context);
    const call = { name, arguments: args, ...(signal === undefined ? {} : { signal }) };
    const alone = (): object | Promise<object> => run.call(this.#server, tool, args, context);
    if (policy.readOnly !== true) return this.#cache.callWith(policy, call, alone);
    const who = policy.public === true ? "" : await this.#principal(context);
    if (name === "" || who === undefined || isTask(tool) || isAnswer(context)) return alone();
    const variant = this.#implementations.variantOf(name, tool["executor"] ?? tool["handler"]);
    const shared: ToolCall = { ...call, principal: who, variant, meta: metaOf(context) };
    return this.#cache.callWith(policy, shared, (ending) =>
      this.#runShared(run, tool, name, args, context, ending),
    );
  }

  /** A run that others may wait for, too, and whose result may be kept. */
  async #runShared(
    run: RunTool,
    tool: Fields,
    name: string,
    args: unknown,
    context: unknown,
    signal: AbortSignal | undefined,
  ): Promise<object> {
    const { result, asked } = await this.#watch.run(context, signal, async (forRun) => {
      const made = await run.call(this.#server, tool, args, forRun);
      // What the SDK will refuse to send is an error, and must not be kept.
      await this.#method<Validate>("validateToolOutput")?.call(this.#server, tool, made, name);
      return made;
    });
    if (asked) keepPersonal(result);
    return result;
  }

  /** Version 1 runs a tool that may create a task past `executeToolHandler` when the client did not ask for a task. */
  async #poll(poll: PollTask, tool: Fields, request: unknown, context: unknown): Promise<object> {
    const run = (): Promise<object> => poll.call(this.#server, tool, request, context);
    const name = this.#nameOf(tool);
    const policy = this.#policyOf(name, tool);
    if (!this.#active || policy.readOnly === true) return run();
    const given = fields(fields(request)["params"])["arguments"];
    const validate = this.#method<Validate>("validateToolInput");
    const args = await validate?.call(this.#server, tool, given, name);
    return this.#cache.callWith(policy, { name, arguments: args ?? given }, run);
  }

  #policyOf(name: string, tool: Fields): ToolCachePolicy {
    const policy = this.#cache.policyOf(name);
    if (policy.readOnly !== undefined) return policy;
    return { ...policy, readOnly: fields(tool["annotations"])["readOnlyHint"] === true };
  }

  #nameOf(tool: Fields): string {
    const registered = fields(fields(this.#server)["_registeredTools"]);
    return Object.keys(registered).find((name) => registered[name] === tool) ?? "";
  }

  #method<F>(name: string): F | undefined {
    const method = fields(this.#server)[name];
    return typeof method === "function" ? (method as F) : undefined;
  }

  #override<F extends (...args: never) => unknown>(
    target: object,
    name: string,
    make: (original: F) => F,
  ): void {
    if (typeof fields(target)[name] === "function")
      this.#restores.push(override<F>(target, name, make));
  }
}

/** A tool that creates tasks answers later, and to one client. */
function isTask(tool: Fields): boolean {
  return typeof tool["handler"] === "object";
}
