import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

/** Calls one tool and returns its structured result. @throws Error when the result is an error */
export type Call = (
  name: string,
  args?: Record<string, unknown>,
) => Promise<Record<string, unknown>>;

export interface DemoClient {
  readonly call: Call;
  close(): Promise<void>;
}

/** The official client, as any MCP host would use it. */
export async function connect(url: string): Promise<DemoClient> {
  const client = new Client(
    { name: "mcp-accel-demo", version: "0.1.0" },
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return {
    call: async (name, args = {}) => {
      const result = await client.callTool({ name, arguments: args });
      if (result.isError === true)
        throw new Error(`${name} failed: ${JSON.stringify(result.content)}`);
      return result.structuredContent as Record<string, unknown>;
    },
    close: () => client.close(),
  };
}
