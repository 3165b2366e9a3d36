import type { Dispatcher } from "undici";
import { InvalidArgumentError, RedirectError } from "./errors.ts";
import { FetchHandler } from "./fetch-handler.ts";
import { readFetch } from "./fetch-request.ts";
import type { FetchRequest, PoolFetchInit } from "./fetch-request.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import { redirected, redirectTarget } from "./redirects.ts";
import { isUnsized, sized } from "./sized-body.ts";

export const DEFAULT_MAX_REDIRECTS = 5;

export interface FetchTarget {
  dispatch(options: PoolDispatchOptions, handler: Dispatcher.DispatchHandler): boolean;
}

/**
 * The common part of the fetch standard over `dispatch`: no cache, no cookies, no CORS. It asks for no
 * content coding, but decodes one that comes.
 */
export async function leanFetch(
  target: FetchTarget,
  input: string | URL | Request,
  init: PoolFetchInit | undefined,
  maxRedirects: number,
): Promise<Response> {
  const given = readFetch(input, init);
  let request = isUnsized(given.body) ? await sized(given, given.body) : given;
  for (let hops = 0; ; hops += 1) {
    const response = await follow(target, request, hops);
    const location = request.redirect === "manual" ? undefined : redirectTarget(response);
    if (location === undefined) return locate(response, request.url, hops > 0);
    // The rest of a redirect says nothing; its connection goes back, mostly in time for the next request.
    await response.body?.cancel().catch(() => undefined);
    const { origin } = request.url;
    if (request.redirect === "error") throw new RedirectError(origin, "it redirects");
    if (hops >= maxRedirects)
      throw new RedirectError(
        origin,
        `more than ${maxRedirects} redirects, the last one from here`,
      );
    request = redirected(request, response.status, location);
  }
}

/** A pool of one origin takes no other, which a caller can only know from where it was led. */
async function follow(target: FetchTarget, request: FetchRequest, hops: number): Promise<Response> {
  try {
    return await exchange(target, request);
  } catch (error) {
    const isElsewhere = error instanceof InvalidArgumentError && error.argument === "origin";
    if (hops === 0 || !isElsewhere) throw error;
    throw new RedirectError(request.url.origin, "a redirect leads here, which takes a PoolAgent");
  }
}

function exchange(target: FetchTarget, request: FetchRequest): Promise<Response> {
  const { url, method, headers, signal, settings, wrap } = request;
  const body = request.body instanceof Blob ? request.body.stream() : request.body;
  const handler = new FetchHandler(method, signal);
  const { origin, pathname, search } = url;
  const options = { ...settings, origin, path: pathname + search, method, headers };
  // Undici takes async iterables too, which its types leave out.
  target.dispatch(
    { ...options, body: body as PoolDispatchOptions["body"] & {} },
    wrap?.(handler) ?? handler,
  );
  return handler.response;
}

/** A `Response` that is made by hand has no URL. */
function locate(response: Response, { href }: URL, wasRedirected: boolean): Response {
  const url = href.split("#", 1)[0];
  Object.defineProperty(response, "url", { value: url, configurable: true });
  if (wasRedirected)
    Object.defineProperty(response, "redirected", { value: true, configurable: true });
  return response;
}
