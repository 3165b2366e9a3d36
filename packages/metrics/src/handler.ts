import type { IncomingMessage, ServerResponse } from "node:http";
import { answer, answerRefusal, answerText } from "./endpoint-answer.ts";
import { guardEndpoint } from "./endpoint-guard.ts";
import type { EndpointGuardOptions } from "./endpoint-guard.ts";
import { requireInteger } from "./endpoint-limits.ts";
import { ResponseSlots } from "./endpoint-slots.ts";
import { negotiateFormat } from "./negotiate.ts";
import { requireObject } from "./options.ts";

export interface ScrapeAnswer {
  readonly contentType: string;
  readonly body: string;
}

/** A `node:http` listener that says whether it asks for a token. */
export interface EndpointHandler {
  (request: IncomingMessage, response: ServerResponse): void;
  readonly hasToken: boolean;
}

export interface ScrapeHandlerOptions {
  /** Who is served; `false` serves everybody who reaches the endpoint. Default: requests for loopback hosts. */
  readonly guard?: EndpointGuardOptions | false;
  /** Scrapes answered at once; the next one gets 503. Default 100. */
  readonly maxConcurrent?: number;
  /** Time to read an answer before its connection is closed. Default 10,000 ms. */
  readonly readTimeoutMs?: number;
}

/**
 * A `node:http` listener that answers GET and HEAD with the exposition and every other method with 405. Scrapes that come while
 * one is under way share it. It never throws: when the exposition fails, the answer is 500, or 503 once the metrics are closed.
 */
export function scrapeHandler(
  exposition: (accept: string | undefined) => Promise<ScrapeAnswer>,
  isClosed: () => boolean,
  options: ScrapeHandlerOptions = {},
): EndpointHandler {
  requireObject("options", options);
  const { maxConcurrent = 100, readTimeoutMs = 10_000, guard: guardOptions } = options;
  requireInteger("maxConcurrent", maxConcurrent, 1, 10_000);
  requireInteger("readTimeoutMs", readTimeoutMs, 1, 600_000);
  const guard = guardOptions === false ? undefined : guardEndpoint(guardOptions);
  const slots = new ResponseSlots(maxConcurrent, readTimeoutMs);
  const shared = shareByFormat(exposition);
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = guard?.refuse(request);
    if (refusal !== undefined) {
      answerRefusal(request, response, refusal);
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      answerText(request, response, 405, "Method Not Allowed\n", { allow: "GET, HEAD" });
      return;
    }
    if (!slots.take(response)) {
      answerText(request, response, 503, "Too many scrapes at once\n", { "retry-after": "1" });
      return;
    }
    try {
      const { contentType, body } = await shared(request.headers.accept);
      answer(request, response, 200, { "content-type": contentType, vary: "accept" }, body);
    } catch {
      if (isClosed()) answerText(request, response, 503, "Metrics are closed\n");
      else answerText(request, response, 500, "Metrics could not be collected\n");
    }
  };
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch(() => response.destroy());
  };
  return Object.assign(handler, { hasToken: guard?.hasToken ?? false });
}

/** Callers that ask for one format while it is being written get the same text. */
function shareByFormat(
  exposition: (accept: string | undefined) => Promise<ScrapeAnswer>,
): (accept: string | undefined) => Promise<ScrapeAnswer> {
  const underWay = new Map<unknown, Promise<ScrapeAnswer>>();
  return async (accept) => {
    const format = negotiateFormat(accept);
    const running = underWay.get(format);
    if (running !== undefined) return await running;
    const started = exposition(accept).finally(() => underWay.delete(format));
    underWay.set(format, started);
    return await started;
  };
}
