import type { z } from "zod";
import { refuseBrokenText } from "./broken-text.ts";

/** What a tool may do while it runs, whatever the transport and the protocol revision. */
export interface ToolContext {
  readonly signal: AbortSignal;
  /** Who calls; results are never shared between principals unless a tool says so. */
  readonly principal: string;
  readonly transport: "stdio" | "http";
  readonly protocolVersion: string | undefined;
  /** True when the caller asked for progress notifications. */
  readonly wantsProgress: boolean;
  /** Size that the result may have as JSON when it is less than what the server allows; see {@link Tool.heedsRoom}. */
  readonly maxResultBytes?: number;
  /** Resolves once the notification was handed to the transport; does nothing when no progress was asked for. */
  readonly progress: (update: ProgressUpdate) => Promise<void>;
}
export interface ProgressUpdate {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/** How fast the tool promises to be; the objectives are those of the metrics package's tiers. */
export type ToolTier = "fast" | "standard" | "slow";

export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** A tool, described once and served to every protocol revision. */
export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly annotations: ToolAnnotations;
  readonly tier: ToolTier;
  /** Tags under which a result may be cached; absent when it must not be. */
  readonly cacheTags?: (args: unknown) => readonly string[];
  /** The tool changes many things at once, and changes nothing when its result would not fit into `maxResultBytes`. */
  readonly heedsRoom?: boolean;
  readonly run: (args: unknown, context: ToolContext) => Promise<object>;
}

interface ToolSpec<I extends z.ZodType, O extends z.ZodType> extends Omit<
  Tool,
  "input" | "output" | "annotations" | "cacheTags" | "run"
> {
  readonly input: I;
  readonly output: O;
  readonly annotations: ToolAnnotations;
  readonly cacheTags?: (args: z.output<I>) => readonly string[];
  readonly run: (args: z.output<I>, context: ToolContext) => Promise<z.input<O> & object>;
}

/**
 * Checks a tool's functions against its schemas, then forgets the types so that tools fit in one list. No tool takes text that
 * is not well-formed: the store could not keep it as it is.
 */
export function defineTool<I extends z.ZodType, O extends z.ZodType>(spec: ToolSpec<I, O>): Tool {
  return { ...spec, input: spec.input.superRefine(refuseBrokenText) } as unknown as Tool;
}

export const readOnly: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};
export const additive: ToolAnnotations = {
  ...readOnly,
  readOnlyHint: false,
  idempotentHint: false,
};
export const destructive: ToolAnnotations = {
  ...readOnly,
  readOnlyHint: false,
  destructiveHint: true,
};

/** Tells how far a call is, for a caller that may have gone: nobody waits for it, and it cannot fail the call. */
export function tellProgress({ progress }: ToolContext): (done: number, total: number) => void {
  return (done, total) => {
    progress({ progress: done, total }).catch(() => {});
  };
}
