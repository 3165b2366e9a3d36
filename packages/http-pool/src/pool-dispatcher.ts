import type { PoolEvents } from "./pool-events.ts";
import { safely } from "./safely.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import { Dispatcher, Dispatcher1Wrapper } from "./undici.ts";

type Listener<E, K extends keyof E> = (event: E[K]) => void;
/** Undici's own events, such as `drain`. */
type OtherListener = (...args: never[]) => void;

/** An undici Dispatcher with typed events and undici's two forms of `close` and `destroy`. */
export abstract class PoolDispatcher<E extends PoolEvents = PoolEvents> extends Dispatcher {
  readonly #legacy: Dispatcher1Wrapper = new Dispatcher1Wrapper(this);

  protected abstract accept(
    options: PoolDispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean;
  protected abstract end(): Promise<void>;
  protected abstract kill(error: Error | undefined): Promise<void>;

  override on<K extends keyof E>(event: K, listener: Listener<E, K>): this;
  override on(event: string | symbol, listener: OtherListener): this;
  override on(event: string | symbol, listener: OtherListener): this {
    return super.on(event as "drain", listener as (origin: URL) => void);
  }

  override once<K extends keyof E>(event: K, listener: Listener<E, K>): this;
  override once(event: string | symbol, listener: OtherListener): this;
  override once(event: string | symbol, listener: OtherListener): this {
    return super.once(event as "drain", listener as (origin: URL) => void);
  }

  override off<K extends keyof E>(event: K, listener: Listener<E, K>): this;
  override off(event: string | symbol, listener: OtherListener): this;
  override off(event: string | symbol, listener: OtherListener): this {
    return super.off(event as "drain", listener as (origin: URL) => void);
  }

  /**
   * Throws for a wrong handler only: everything else is told to the handler.
   * @returns false when requests wait; `drain` says when that is over
   */
  override dispatch(options: PoolDispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (typeof handler !== "object" || handler === null)
      throw new InvalidArgumentError("handler", "an object", handler);
    // The built-in fetch of Node 22 and 24 speaks the handler protocol of older undici versions.
    if (typeof handler.onRequestStart !== "function")
      return this.#legacy.dispatch(options, handler);
    try {
      checkUpgrade(options, handler);
      return this.accept(options, handler);
    } catch (error) {
      if (typeof handler.onResponseError !== "function") throw error;
      // Undici too reports what is wrong with the arguments without a controller.
      handler.onResponseError(null as unknown as Dispatcher.DispatchController, error as Error);
      return false;
    }
  }

  /** Takes no new requests, lets those under way and waiting end, and closes the connections. */
  override close(): Promise<void>;
  override close(onClosed: () => void): void;
  override close(onClosed?: () => void): Promise<void> {
    const closed = this.end();
    if (onClosed !== undefined) void closed.then(onClosed);
    return closed;
  }

  /** Ends every request with `error` and closes the connections. */
  override destroy(error?: Error | null): Promise<void>;
  override destroy(error: Error | null, onDestroyed: () => void): void;
  override destroy(onDestroyed: () => void): void;
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> {
    const error = typeof first === "function" ? undefined : (first ?? undefined);
    const onDestroyed = typeof first === "function" ? first : second;
    const destroyed = this.kill(error);
    if (onDestroyed !== undefined) void destroyed.then(onDestroyed);
    return destroyed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A listener that throws does not harm the pool. */
  protected send<K extends keyof E & string>(event: K, value: E[K]): void {
    const listeners = this.rawListeners(event as "drain") as ((value: E[K]) => unknown)[];
    for (const listener of listeners)
      safely(`a listener of "${event}"`, () => listener.call(this, value));
  }
}

/** Undici asks the pool's own handler for it, which always has one. */
function checkUpgrade(
  options: PoolDispatchOptions | undefined,
  handler: Dispatcher.DispatchHandler,
): void {
  if (!options?.upgrade && options?.method !== "CONNECT") return;
  if (typeof handler.onRequestUpgrade !== "function")
    throw new InvalidArgumentError("handler.onRequestUpgrade", "a function", undefined);
}
