import type { DashboardFrame, DashboardHistory } from "../src/dashboard-protocol.ts";

export type Connection = "connecting" | "live" | "lost" | "token";

export interface StreamListener {
  history(history: DashboardHistory): void;
  frame(frame: DashboardFrame): void;
  connection(state: Connection): void;
}

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 10_000;
const SILENCE_MS = 10_000;
const TOKEN_KEY = "dashboard-token";

/**
 * Reads the history and then the live stream, over and over. Not an `EventSource`, which cannot send a token in a header.
 */
export class Stream {
  readonly #listener: StreamListener;
  #token: string = sessionStorage.getItem(TOKEN_KEY) ?? "";
  #waitMs = FIRST_WAIT_MS;
  #wake: (() => void) | undefined;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  get hasToken(): boolean {
    return this.#token !== "";
  }

  setToken(token: string): void {
    this.#token = token;
    if (token === "") sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
    this.#wake?.();
  }

  headers(token: string = this.#token): Record<string, string> {
    return token === "" ? {} : { authorization: `Bearer ${token}` };
  }

  async run(): Promise<never> {
    for (;;) {
      const needed = document.documentElement.dataset["token"] === "needed";
      if (needed && this.#token === "") await this.#askToken();
      try {
        await this.#readOnce();
      } catch {
        this.#listener.connection("lost");
      }
      await this.#pause();
    }
  }

  async #readOnce(): Promise<void> {
    const history = await fetch("api/history", { headers: this.headers() });
    if (history.status === 401) {
      this.setToken("");
      document.documentElement.dataset["token"] = "needed";
      return;
    }
    if (!history.ok) throw new Error(String(history.status));
    this.#listener.history((await history.json()) as DashboardHistory);
    const abort = new AbortController();
    const stream = await fetch("api/stream", { headers: this.headers(), signal: abort.signal });
    if (!stream.ok || stream.body === null) throw new Error(String(stream.status));
    this.#listener.connection("live");
    this.#waitMs = FIRST_WAIT_MS;
    await this.#readEvents(stream.body, abort);
    throw new Error("the stream ended");
  }

  async #readEvents(body: ReadableStream<Uint8Array>, abort: AbortController): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const silence = setTimeout(() => abort.abort(), SILENCE_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const events = rest.split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        if (event.startsWith("data: ")) {
          this.#listener.frame(JSON.parse(event.slice(6)) as DashboardFrame);
        }
      }
    }
  }

  #askToken(): Promise<void> {
    this.#listener.connection("token");
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #pause(): Promise<void> {
    const waitMs = this.#waitMs;
    this.#waitMs = Math.min(MAX_WAIT_MS, waitMs * 2);
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, waitMs);
    });
  }
}
