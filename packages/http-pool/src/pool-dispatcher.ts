import type { PoolEvents } from "./pool-events.ts";
import { safely } from "./safely.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { PoolFetchInit } from "./fetch-request.ts";
import { DEFAULT_MAX_REDIRECTS, leanFetch } from "./lean-fetch.ts";
import type { PoolDispatchOptions, PoolRequestOptions } from "./prepare-dispatch.ts";
import { Dispatcher, Dispatcher1Wrapper } from "./undici.ts";

type Listener<E, K extends keyof E> = (event: E[K]) => void;
/** Undici's own events, such as `drain`. */
type OtherListener = (...args: never[]) => void;

const UNDICI_EVENTS = ["connect", "disconnect", "connectionError", "drain"] as const;
type UndiciEvent = (typeof UNDICI_EVENTS)[number];

/** Of undici's own methods, those that need what a Proxy does not have. */
const OWN = new Set<PropertyKey>(["close", "destroy"]);

/** An undici Dispatcher with typed events and undici's two forms of `close` and `destroy`. */
export abstract class PoolDispatcher<E extends PoolEvents = PoolEvents> extends Dispatcher {
  /**
   * A fetch with the global `Response`, which needs no `this`. It follows redirects as far as the dispatcher goes.
   * Rejects with an HttpPoolError, an error of undici, or the reason of `signal`.
   */
  readonly fetch: (input: string | URL | Request, init?: PoolFetchInit) => Promise<Response>;
  readonly #legacy: Dispatcher1Wrapper = new Dispatcher1Wrapper(this);
  #closed = false;
  #destroyed = false;
  protected readonly maxRedirects: number;

  constructor(maxRedirects: number = DEFAULT_MAX_REDIRECTS) {
    super();
    this.maxRedirects = maxRedirects;
    this.fetch = (input, init) => leanFetch(this, input, init, maxRedirects);
  }

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

  /** The same dispatcher with interceptors before `dispatch`, `fetch`, `request` and the like. */
  override compose(...interceptors: Dispatcher.DispatcherComposeInterceptor[]): this;
  override compose(interceptors: Dispatcher.DispatcherComposeInterceptor[]): this;
  override compose(...interceptors: never[]): this {
    const dispatch: unknown = Reflect.get(super.compose(...interceptors), "dispatch");
    const bound = new Map<unknown, unknown>();
    // Undici's Proxy calls methods on itself, where private fields are not.
    const get = (target: this, key: PropertyKey): unknown => {
      if (key === "dispatch") return dispatch;
      if (key === "fetch") return fetch;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function" || (key in Dispatcher.prototype && !OWN.has(key)))
        return value;
      if (!bound.has(value)) bound.set(value, value.bind(target));
      return bound.get(value);
    };
    const composed: this = new Proxy(this, { get });
    const fetch: typeof this.fetch = (input, init) =>
      leanFetch(composed, input, init, this.maxRedirects);
    return composed;
  }

  /** Undici's `request`, which besides takes `lane`, `safe`, `affinityHeader` and `eventTimeout`. */
  override request<T = null>(
    options: Dispatcher.RequestOptions<T> & PoolRequestOptions,
  ): Promise<Dispatcher.ResponseData<T>>;
  override request<T = null>(
    options: Dispatcher.RequestOptions<T> & PoolRequestOptions,
    callback: (error: Error | null, data: Dispatcher.ResponseData<T>) => void,
  ): void;
  override request<T>(
    ...args: [Dispatcher.RequestOptions<T>]
  ): Promise<Dispatcher.ResponseData<T>> {
    return super.request<T>(...args);
  }

  /** Takes no new requests, lets those under way and waiting end, and closes the connections. */
  override close(): Promise<void>;
  override close(onClosed: () => void): void;
  override close(onClosed?: () => void): Promise<void> {
    this.#closed = true;
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
    this.#closed = true;
    this.#destroyed = true;
    const destroyed = this.kill(error);
    if (onDestroyed !== undefined) void destroyed.then(onDestroyed);
    return destroyed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether `close` or `destroy` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether `destroy` was called. */
  get destroyed(): boolean {
    return this.#destroyed;
  }

  /** One of undici's own events, from this dispatcher or from one behind it. */
  protected announce(
    event: UndiciEvent,
    origin: URL,
    targets: readonly Dispatcher[],
    error?: Error,
  ): void {
    if (this.listenerCount(event) === 0) return;
    const all = [this, ...targets];
    safely(`a listener of "${event}"`, () =>
      super.emit(event as "disconnect", origin, all, error as never),
    );
  }

  /** Passes on undici's own events of a dispatcher behind this one. */
  protected follow(dispatcher: Dispatcher): void {
    for (const event of UNDICI_EVENTS)
      dispatcher.on(event as "disconnect", (origin, targets, error) =>
        this.announce(event, origin, targets, error),
      );
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
