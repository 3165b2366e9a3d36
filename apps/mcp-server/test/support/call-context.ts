import type { ToolContext } from "../../src/tools/tool.ts";

/** A caller who never gives up and asked for no progress. */
export const callContext: ToolContext = {
  signal: new AbortController().signal,
  principal: "local",
  transport: "http",
  protocolVersion: undefined,
  wantsProgress: false,
  progress: async () => {},
};
