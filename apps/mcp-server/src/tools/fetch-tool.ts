import { z } from "zod";
import { McpAccelError } from "../errors.ts";
import type { Services } from "./services.ts";
import { defineTool, readOnly, type Tool } from "./tool.ts";

const MAX_BYTES_DEFAULT = 256 * 1024;
const MAX_BYTES_LIMIT = 4 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

export function fetchTools({ http }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "fetch_url",
      title: "Fetch a URL",
      description:
        "Fetches a page over HTTP or HTTPS with GET and returns its text. Redirects are followed. Only public addresses are reached unless the operator allows more.",
      input: z.strictObject({
        url: z
          .url({ protocol: /^https?$/, error: "Expected an http: or https: URL" })
          .max(8_000)
          .describe("An http: or https: URL"),
        maxBytes: z
          .number()
          .int()
          .min(1)
          .max(MAX_BYTES_LIMIT)
          .default(MAX_BYTES_DEFAULT)
          .describe("The rest of a longer body is not read"),
      }),
      output: z.object({
        status: z.number(),
        url: z.string().describe("The URL that answered, after redirects"),
        contentType: z.string(),
        text: z.string(),
        bytes: z.number(),
        truncated: z.boolean(),
      }),
      annotations: { ...readOnly, openWorldHint: true },
      tier: "slow",
      run: async ({ url, maxBytes }, { signal }) => {
        const target = new URL(url);
        if (target.username !== "" || target.password !== "") throw credentialsInUrl();
        const response = await http.get(target, {
          signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
          headers: { accept: "text/*, application/json;q=0.9, */*;q=0.1" },
        });
        const body = await readBody(response, maxBytes);
        return {
          status: response.status,
          url: response.url === "" ? url : response.url,
          contentType: response.headers.get("content-type") ?? "",
          ...body,
        };
      },
    }),
  ];
}

async function readBody(
  response: Response,
  maxBytes: number,
): Promise<{ text: string; bytes: number; truncated: boolean }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop early cancels the body, so that the rest is not read.
  for await (const chunk of response.body ?? []) {
    const room = maxBytes - bytes;
    const kept = (chunk as Uint8Array).subarray(0, room);
    chunks.push(kept);
    bytes += kept.byteLength;
    if ((chunk as Uint8Array).byteLength > room)
      return { text: decode(chunks), bytes, truncated: true };
  }
  return { text: decode(chunks), bytes, truncated: false };
}

function decode(chunks: readonly Uint8Array[]): string {
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function credentialsInUrl(): McpAccelError {
  return new McpAccelError(
    "CREDENTIALS_IN_URL",
    "The URL holds a user name or password. Leave them out.",
  );
}
