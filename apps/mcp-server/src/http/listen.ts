import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ListenError } from "../errors.ts";

export interface Listener extends AsyncDisposable {
  readonly url: string;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly requestTimeoutMs: number;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** @throws ListenError when the port is taken or the address cannot be bound. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, requestTimeoutMs, handle } = options;
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout: Math.min(requestTimeoutMs, 10_000),
      connectionsCheckingInterval: Math.min(requestTimeoutMs / 2, 5_000),
    },
    (request, response) => {
      handle(request, response).catch(() => response.destroy());
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  try {
    await promise;
  } catch (error) {
    throw describe(error as NodeJS.ErrnoException, options);
  }
  server.removeListener("error", reject);
  const { port: bound } = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return { url: `http://${name}:${bound}`, [Symbol.asyncDispose]: () => close(server) };
}

function describe(error: NodeJS.ErrnoException, { host, port }: ListenOptions): ListenError {
  if (error.code === "EADDRINUSE")
    return new ListenError(
      `Port ${port} of ${host} is taken by another program. Stop it, or choose other ports with --port and --ops-port (0 takes a free one).`,
      { cause: error },
    );
  return new ListenError(`Cannot listen on ${host}:${port}: ${error.message}.`, { cause: error });
}

/** Idle connections are closed at once, those that answer a request when they are done or when the caller cuts them. */
async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), 2_000);
  await promise;
  clearTimeout(cut);
}
