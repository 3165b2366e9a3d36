import type { ReadableByteStreamController } from "node:stream/web";
import type { WebOutput } from "./web-output.ts";

/** Copies chunks into the buffers that readers bring, as many as it takes, and into new ones for other readers. */
export class ByobOutput implements WebOutput {
  readonly #controller: ReadableByteStreamController;
  #rest: Uint8Array | undefined;

  constructor(controller: ReadableByteStreamController) {
    this.#controller = controller;
  }

  enqueue(chunk: Uint8Array): boolean {
    this.#rest = chunk;
    return this.flush();
  }

  flush(): boolean {
    const rest = this.#rest;
    if (rest === undefined) return true;
    const request = this.#controller.byobRequest;
    const view = request?.view;
    if (request == null || view == null) {
      this.#rest = undefined;
      this.#controller.enqueue(new Uint8Array(rest));
      return true;
    }
    const length = Math.min(rest.byteLength, view.byteLength);
    new Uint8Array(view.buffer, view.byteOffset, length).set(rest.subarray(0, length));
    this.#rest = length < rest.byteLength ? rest.subarray(length) : undefined;
    request.respond(length);
    return this.#rest === undefined;
  }

  /** A reader whose buffer still waits is told so with nothing in it. */
  close(): void {
    this.#controller.close();
    this.#controller.byobRequest?.respond(0);
  }

  error(reason: unknown): void {
    this.#controller.error(reason);
  }
}
