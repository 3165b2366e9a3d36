import { z } from "zod";
import { McpAccelError } from "../errors.ts";
import { badAnswer, upstreamUnavailable } from "./fetch-errors.ts";
import type { HttpService, Services } from "./services.ts";
import { defineTool, readOnly, type Tool } from "./tool.ts";

const MAX_BYTES_DEFAULT = 256 * 1024;
const MAX_BYTES_LIMIT = 4 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** Of the pool; the same fault without the pool is an error of Node. */
const INVALID_RESPONSE = "HTTP_POOL_INVALID_RESPONSE";

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
        if (target.port === "0") throw upstreamUnavailable(target, new Error("port 0 is no port"));
        const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
        try {
          return await fetchPage(http, target, maxBytes, limited);
        } catch (error) {
          throw limited.aborted || isCoded(error) ? error : badAnswer(target, error);
        }
      },
    }),
  ];
}

async function fetchPage(http: HttpService, url: URL, maxBytes: number, signal: AbortSignal) {
  const response = await http.get(url, {
    signal,
    headers: { accept: "text/*, application/json;q=0.9, */*;q=0.1" },
  });
  const contentType = response.headers.get("content-type") ?? "";
  return {
    status: response.status,
    url: response.url === "" ? url.href : response.url,
    contentType,
    ...(await readBody(response, decoderOf(contentType), maxBytes)),
  };
}

/** Errors of this server and of the pool; those of sockets, parsers and decompressors are not for callers. */
function isCoded(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  if (code === INVALID_RESPONSE) return false;
  return (
    error instanceof McpAccelError || (typeof code === "string" && code.startsWith("HTTP_POOL_"))
  );
}

/** In the charset that the page declares; UTF-8 when it declares none or an unknown one. */
function decoderOf(contentType: string): InstanceType<typeof TextDecoder> {
  const [, charset = "utf-8"] = /charset\s*=\s*"?([^\s;"]+)/i.exec(contentType) ?? [];
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}

async function readBody(
  response: Response,
  decoder: InstanceType<typeof TextDecoder>,
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
      return { text: decoder.decode(Buffer.concat(chunks)), bytes, truncated: true };
  }
  return { text: decoder.decode(Buffer.concat(chunks)), bytes, truncated: false };
}

function credentialsInUrl(): McpAccelError {
  return new McpAccelError(
    "CREDENTIALS_IN_URL",
    "The URL holds a user name or password. Leave them out.",
  );
}
