import type { IncomingMessage, ServerResponse } from "node:http";
import { toNodeHandler, type NodeIncomingMessageLike } from "@modelcontextprotocol/node";
import { createMcpHandler, type McpServer } from "@modelcontextprotocol/server";
import type { ResourceChanges } from "../host/resource-changes.ts";

export interface Http2026Options {
  readonly createServer: () => McpServer;
  readonly changes: ResourceChanges;
  readonly reportError: (error: unknown, where: string) => void;
}

/** The 2026-07-28 side of the HTTP endpoint: no sessions, one server object a request. */
export class Http2026 implements AsyncDisposable {
  readonly #handler;
  readonly #handle;
  readonly #changes: Disposable;

  constructor({ createServer, changes, reportError }: Http2026Options) {
    const report = (error: unknown): void => reportError(error, "http 2026-07-28");
    this.#handler = createMcpHandler(createServer, {
      legacy: "reject",
      onerror: report,
    });
    this.#handle = toNodeHandler(this.#handler, { onerror: report });
    const { notify } = this.#handler;
    this.#changes = changes.subscribe(({ uris, list }) => {
      if (list) notify.resourcesChanged();
      for (const uri of uris) notify.resourceUpdated(uri);
    });
  }

  async handle(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    await this.#handle(request as NodeIncomingMessageLike, response, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#changes[Symbol.dispose]();
    await this.#handler.close();
  }
}
