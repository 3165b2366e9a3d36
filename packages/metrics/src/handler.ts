import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";

export interface ScrapeAnswer {
  readonly contentType: string;
  readonly body: string;
}

/**
 * A `node:http` listener that answers GET and HEAD with the exposition and every other method with 405. It never throws: when the
 * exposition fails, the answer is 500, or 503 once the metrics are closed.
 */
export function scrapeHandler(
  exposition: (accept: string | undefined) => Promise<ScrapeAnswer>,
  isClosed: () => boolean,
): (request: IncomingMessage, response: ServerResponse) => void {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      answerText(request, response, 405, "Method Not Allowed\n", { allow: "GET, HEAD" });
      return;
    }
    try {
      const { contentType, body } = await exposition(request.headers.accept);
      answer(request, response, 200, { "content-type": contentType, vary: "accept" }, body);
    } catch {
      if (isClosed()) answerText(request, response, 503, "Metrics are closed\n");
      else answerText(request, response, 500, "Metrics could not be collected\n");
    }
  };
  return (request, response) => {
    serve(request, response).catch(() => response.destroy());
  };
}

function answerText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
  headers: OutgoingHttpHeaders = {},
): void {
  const contentType = "text/plain; charset=utf-8";
  answer(request, response, status, { "content-type": contentType, ...headers }, body);
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  body: string,
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    ...headers,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
