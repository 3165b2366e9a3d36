import { lookup as dnsLookup } from "node:dns";
import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import type { LookupFunction, Socket } from "node:net";
import { AddressNotAllowedError } from "./errors.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { buildConnector } from "./undici.ts";

type ConnectorOptions = NonNullable<Parameters<typeof buildConnector>[0]>;
type AllowAddress = (address: string) => boolean;
type Refusal = (cause?: unknown) => AddressNotAllowedError;
export type Opened = (error: Error | undefined, socket: Socket | undefined) => void;

/** Opens sockets to one origin, only to addresses that are allowed, within `connectTimeoutMs`. */
export class Connector {
  readonly #origin: URL;
  readonly #hostname: string;
  readonly #allow: AllowAddress | undefined;
  readonly #connect: ReturnType<typeof buildConnector>;

  constructor(origin: URL, options: ResolvedPoolOptions) {
    const lookup = options.lookup ?? options.tls?.lookup;
    this.#origin = origin;
    this.#hostname = origin.hostname.replace(/^\[(.*)\]$/, "$1");
    this.#allow = options.allowAddress;
    const settings = {
      ...options.tls,
      allowH2: options.allowH2,
      timeout: options.connectTimeoutMs,
      ...(this.#allow !== undefined
        ? { lookup: guarded(lookup ?? dnsLookup, this.#allow, this.#refusal) }
        : lookup && { lookup }),
    };
    // The types of Node allow undefined where those of undici leave it out.
    this.#connect = buildConnector(settings as ConnectorOptions);
  }

  /** Calls `opened` once, unless the returned function cancels it first. */
  open(opened: Opened): () => void {
    let pending = true;
    const settle = (error: Error | undefined, socket: Socket | undefined): void => {
      if (!pending) return;
      pending = false;
      opened(error, socket);
    };
    const connecting = this.#start(settle);
    return () => {
      pending = false;
      connecting?.destroy(new Error("the attempt was cancelled"));
    };
  }

  #start(settle: Opened): Socket | undefined {
    try {
      if (isIP(this.#hostname) !== 0) this.#demand(this.#hostname);
      const { host, port, protocol } = this.#origin;
      const address = { hostname: this.#hostname, host, port, protocol };
      // The connector returns the socket that it connects, which its types leave out.
      return this.#connect(address, (error, socket) => {
        if (error !== null) settle(error, undefined);
        else this.#check(socket, settle);
      }) as unknown as Socket;
    } catch (error) {
      // Never from within `open`: its caller has not returned yet.
      queueMicrotask(() => settle(error as Error, undefined));
      return undefined;
    }
  }

  /** The last word is the address of the peer itself, whatever resolved it. */
  #check(socket: Socket, settle: Opened): void {
    try {
      this.#demand(socket.remoteAddress ?? "");
      settle(undefined, socket);
    } catch (error) {
      socket.destroy();
      settle(error as Error, undefined);
    }
  }

  #demand(address: string): void {
    if (this.#allow !== undefined && !isAllowed(this.#allow, address, this.#refusal))
      throw this.#refusal();
  }

  readonly #refusal: Refusal = (cause) => new AddressNotAllowedError(this.#origin.origin, cause);
}

/** Nothing but `true` will do: a promise, or a word, is no yes. */
function isAllowed(allow: AllowAddress, address: string, refusal: Refusal): boolean {
  try {
    const answer: unknown = allow(address);
    return answer === true;
  } catch (error) {
    throw refusal(error);
  }
}

/** Leaves only allowed addresses in what `lookup` finds. */
function guarded(lookup: LookupFunction, allow: AllowAddress, refusal: Refusal): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, options, (error, found, family) => {
      // Some resolvers leave out what is not wrong.
      if (error) {
        callback(error, found, family);
        return;
      }
      try {
        const all: LookupAddress[] =
          typeof found === "string" ? [{ address: found, family: family ?? isIP(found) }] : found;
        const allowed = all.filter(({ address }) => isAllowed(allow, address, refusal));
        const [first] = allowed;
        if (first === undefined) callback(refusal(), []);
        else if (typeof found === "string") callback(null, first.address, first.family);
        else callback(null, allowed);
      } catch (thrown) {
        callback(thrown as NodeJS.ErrnoException, []);
      }
    });
  };
}
