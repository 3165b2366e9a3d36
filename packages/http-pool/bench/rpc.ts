/** What an MCP client sends for a call of a tool, and what comes back. */
export const REQUEST_BODY: string = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "search", arguments: { query: "connection pool", limit: 10 } },
});

export const REQUEST_HEADERS: Readonly<Record<string, string>> = {
  accept: "application/json, text/event-stream",
  "content-type": "application/json",
  "mcp-protocol-version": "2025-06-18",
};

export const RESPONSE_BODY: string = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  result: { content: [{ type: "text", text: "x".repeat(200) }], isError: false },
});
