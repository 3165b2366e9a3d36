import { z } from "zod";
import { isUnforeseen, publicError } from "../tools/public-error.ts";
import type { Tool, ToolAnnotations, ToolContext } from "../tools/tool.ts";
import { clip } from "../clip.ts";

/** A result of `tools/call` as every protocol revision spells it. */
export interface ToolResult {
  readonly content: readonly { readonly type: "text"; readonly text: string }[];
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly isError?: boolean;
  readonly [key: string]: unknown;
}

/** An entry of `tools/list`. */
export interface ToolListing {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: { readonly type: "object"; readonly [key: string]: unknown };
  readonly outputSchema: { readonly type: "object"; readonly [key: string]: unknown };
  readonly annotations: ToolAnnotations;
}

/**
 * One optimisation around every call of a tool. `next` runs the tool until its own signal aborts, the caller's when none is given:
 * a run that several callers share must not end with the first of them.
 */
export type ToolMiddleware = (
  call: { readonly tool: Tool; readonly args: unknown; readonly context: ToolContext },
  next: (signal?: AbortSignal) => Promise<ToolResult>,
) => Promise<ToolResult>;

/** Asked for a tool that does not exist: a protocol error (-32602), not a result. */
export class UnknownToolError extends Error {
  override readonly name = "UnknownToolError";
  readonly code = "UNKNOWN_TOOL";

  constructor(tool: string) {
    super(`Unknown tool: ${clip(tool, 200)}. tools/list names those that exist.`);
  }
}

/** Looks a tool up, checks its arguments, and runs it inside the middlewares. Knows no transport and no SDK. */
export class ToolRuntime {
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #listing: readonly ToolListing[];
  readonly #around: ToolMiddleware;
  readonly #observe: ToolMiddleware;
  readonly #onUnforeseen: (error: unknown, tool: string) => void;
  readonly #maxResultBytes: number;

  constructor(
    tools: readonly Tool[],
    options: {
      /** Sees every call, also those with invalid arguments. */
      readonly observe: ToolMiddleware;
      /** Sees calls with valid arguments. */
      readonly around: ToolMiddleware;
      readonly onUnforeseen: (error: unknown, tool: string) => void;
      /** Size of a result as JSON; a larger one is replaced by an error that says so. */
      readonly maxResultBytes: number;
    },
  ) {
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
    this.#listing = tools.map(toListing);
    this.#observe = options.observe;
    this.#around = options.around;
    this.#onUnforeseen = options.onUnforeseen;
    this.#maxResultBytes = options.maxResultBytes;
  }

  get tools(): readonly ToolListing[] {
    return this.#listing;
  }

  /** @throws UnknownToolError — every other failure is a result with `isError`. */
  async call(name: string, args: unknown, context: ToolContext): Promise<ToolResult> {
    const tool = this.#tools.get(name);
    if (tool === undefined) throw new UnknownToolError(name);
    return this.#observe({ tool, args, context }, () => this.#checked(tool, args ?? {}, context));
  }

  async #checked(tool: Tool, args: unknown, context: ToolContext): Promise<ToolResult> {
    const parsed = tool.input.safeParse(args);
    if (!parsed.success) return failure(invalidArguments(tool.name, parsed.error));
    try {
      return await this.#around({ tool, args: parsed.data, context }, async (signal) => {
        const shared = signal === undefined ? context : { ...context, signal };
        return this.#success(tool, await tool.run(parsed.data, shared));
      });
    } catch (error) {
      if (context.signal.aborted) return failure("CANCELLED: The call was cancelled.");
      if (isUnforeseen(error)) this.#onUnforeseen(error, tool.name);
      const { code, message } = publicError(error);
      return failure(`${code}: ${message}`);
    }
  }

  #success({ name }: Tool, data: object): ToolResult {
    const text = JSON.stringify(data);
    const bytes = Buffer.byteLength(text);
    if (bytes > this.#maxResultBytes)
      return failure(resultTooLarge(name, bytes, this.#maxResultBytes));
    return {
      content: [{ type: "text", text }],
      structuredContent: data as Record<string, unknown>,
    };
  }
}

function failure(text: string): ToolResult {
  return { content: [{ type: "text", text }], isError: true };
}

function resultTooLarge(tool: string, bytes: number, maxBytes: number): string {
  return `RESULT_TOO_LARGE: ${tool} was run, but its result has ${bytes} bytes and may have ${maxBytes}. Ask for less at once, or raise guard.streamMaxMemoryBytes.`;
}

function invalidArguments(tool: string, error: z.ZodError): string {
  const issues = error.issues
    .slice(0, 10)
    .map(({ path, message }) => `${path.length === 0 ? "arguments" : path.join(".")}: ${message}`);
  return `INVALID_ARGUMENTS: ${tool} was not run. ${issues.join("; ")}.`;
}

function toListing({ name, title, description, input, output, annotations }: Tool): ToolListing {
  return {
    name,
    title,
    description,
    inputSchema: z.toJSONSchema(input, { io: "input" }) as ToolListing["inputSchema"],
    outputSchema: z.toJSONSchema(output, { io: "output" }) as ToolListing["outputSchema"],
    annotations,
  };
}
