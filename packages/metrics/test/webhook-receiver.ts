import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { WebhookMessage } from "../src/alerts.ts";

export interface Received {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly message: WebhookMessage;
}

/** A receiver of webhooks that keeps what it got, and answers as it is told. */
export class WebhookReceiver {
  readonly received: Received[] = [];
  /** How requests are answered, first to last; 200 from then on. */
  readonly answers: ((response: ServerResponse) => void)[] = [];
  readonly #server: Server;

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#receive(request, response).catch(() => response.destroy());
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  messages(path: string): readonly WebhookMessage[] {
    return this.received.filter((one) => one.path === path).map(({ message }) => message);
  }

  /** Waits for real requests, which no fake clock can hurry. */
  async until(isDone: () => boolean, timeoutMs = 20_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!isDone()) {
      if (performance.now() > deadline) throw new Error("nothing came in time");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString();
    const path = request.url ?? "";
    this.received.push({ path, headers: request.headers, message: JSON.parse(body) });
    const answer = this.answers.shift();
    if (answer === undefined) response.end();
    else answer(response);
  }
}
