import { AsyncLocalStorage } from "node:async_hooks";
import { fields, innerOf, sharedContext } from "./mcp-shapes.ts";
import { override } from "./override.ts";

type Request = (...args: unknown[]) => unknown;

/** Notes when a run asks its client for something on the way: for input, a model's answer, its roots. */
export class AskWatch {
  readonly #runs = new AsyncLocalStorage<{ asked: boolean }>();
  readonly #restore: () => void;
  readonly #asks = (): void => {
    const run = this.#runs.getStore();
    if (run !== undefined) run.asked = true;
  };

  constructor(server: object) {
    const inner = innerOf(server);
    const asks = this.#asks;
    this.#restore =
      typeof fields(inner)["request"] === "function"
        ? override<Request>(inner, "request", (request) => {
            return function noting(this: unknown, ...args) {
              asks();
              return request.apply(this, args);
            };
          })
        : () => {};
  }

  restore(): void {
    this.#restore();
  }

  /** Runs for all who wait: `signal` ends it. Tells whether it asked. */
  run<R>(
    context: unknown,
    signal: AbortSignal | undefined,
    run: (context: unknown) => R | Promise<R>,
  ): Promise<{ readonly result: R; readonly asked: boolean }> {
    const state = { asked: false };
    return this.#runs.run(state, async () => {
      const result = await run(sharedContext(context, signal, this.#asks));
      return { result, asked: state.asked };
    });
  }
}
