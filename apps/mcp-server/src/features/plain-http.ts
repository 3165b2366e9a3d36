import { lookup as dnsLookup, type LookupAddress } from "node:dns";
import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { pipeline, Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { McpAccelError } from "../errors.ts";
import {
  addressNotAllowed,
  badAnswer,
  badRedirect,
  upstreamUnavailable,
} from "../tools/fetch-errors.ts";
import type { HttpService } from "../tools/services.ts";

const MAX_REDIRECTS = 5;

/** `fetch_url` with a connection of its own for every request. Addresses are checked after DNS, for each redirect. */
export function plainHttp(allowAddress: ((address: string) => boolean) | undefined): HttpService {
  const get: HttpService["get"] = async (url, init) => {
    let target = url;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const answer = await once(target, init, allowAddress);
      const next = redirectOf(answer, target);
      if (next === undefined) return toResponse(answer, target);
      answer.destroy();
      target = next;
    }
    throw badRedirect(url, `it redirected more than ${MAX_REDIRECTS} times`);
  };
  return { get };
}

type Init = Parameters<HttpService["get"]>[1];

async function once(
  url: URL,
  { signal, headers }: Init,
  allowAddress: ((address: string) => boolean) | undefined,
): Promise<IncomingMessage> {
  const literal = url.hostname.replace(/^\[|\]$/g, "");
  if (allowAddress !== undefined && isIP(literal) !== 0 && !allowAddress(literal))
    throw addressNotAllowed(literal);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const lookup = allowAddress === undefined ? {} : { lookup: checkedLookup(allowAddress) };
  const request = send(url, {
    agent: false,
    headers: { ...headers, "accept-encoding": "identity", connection: "close" },
    signal,
    ...lookup,
  });
  request.once("response", resolve);
  request.once("upgrade", (_answer, socket) => {
    socket.destroy();
    reject(badAnswer(url, new Error("it switched to another protocol")));
  });
  request.once("close", () => reject(badAnswer(url, new Error("it closed the connection"))));
  let connected = false;
  request.once("socket", (socket) => socket.once("connect", () => (connected = true)));
  request.once("error", (error) => {
    if (signal.aborted) reject(signal.reason as Error);
    else reject(connected ? badAnswer(url, error) : unreachable(url, error));
  });
  request.end();
  return promise;
}

function checkedLookup(allowAddress: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 0);
      const refused = found.find(({ address }) => !allowAddress(address));
      const [first] = found;
      if (refused !== undefined || first === undefined)
        return callback(addressNotAllowed(refused?.address ?? hostname), "", 0);
      if (options.all === true) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

function redirectOf(answer: IncomingMessage, from: URL): URL | undefined {
  const { location } = answer.headers;
  if (location === undefined || ![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0))
    return undefined;
  const target = URL.parse(location, from.href);
  if (
    target === null ||
    !/^https?:$/.test(target.protocol) ||
    target.username + target.password !== ""
  )
    throw badRedirect(from, "it redirected to what is no http: or https: URL without credentials");
  return target;
}

function toResponse(answer: IncomingMessage, url: URL): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct))
    for (const value of values ?? []) headers.append(name, value);
  const status = answer.statusCode ?? 502;
  const empty = status === 204 || status === 205 || status === 304;
  const body = empty ? null : (Readable.toWeb(decoded(answer)) as ReadableStream);
  if (empty) answer.resume();
  const response = new Response(body, { status, headers });
  Object.defineProperty(response, "url", { value: url.href });
  return response;
}

/** Some servers compress although they were asked not to. */
function decoded(answer: IncomingMessage): Readable {
  const decoder = decoders[answer.headers["content-encoding"]?.toLowerCase() ?? ""]?.();
  return decoder === undefined ? answer : pipeline(answer, decoder, () => {});
}

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

function unreachable(url: URL, error: Error): Error {
  return error instanceof McpAccelError ? error : upstreamUnavailable(url, error);
}
