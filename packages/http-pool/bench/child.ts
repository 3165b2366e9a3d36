import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

interface Envelope {
  readonly id: number;
  readonly content: unknown;
}

/** Another process that answers questions, one message each way. */
export class Child {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #lastId = 0;

  /** Resolves with its first message, which says that it is ready. */
  static async start<T>(file: string, args: readonly string[]): Promise<[Child, T]> {
    const child = new Child(fork(new URL(file, import.meta.url), args));
    const [ready] = (await once(child.#process, "message")) as [T];
    child.#process.on("message", ({ id, content }: Envelope) => child.#answered(id, content));
    return [child, ready];
  }

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  ask<T>(content: unknown): Promise<T> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve as (answer: unknown) => void);
      this.#process.send({ id, content } satisfies Envelope, (error) => error && reject(error));
    });
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(name);
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }

  #answered(id: number, content: unknown): void {
    this.#waiting.get(id)?.(content);
    this.#waiting.delete(id);
  }
}

/** The other end of a `Child`. */
export function answer<T>(ready: unknown, reply: (content: T) => unknown): void {
  process.on("message", ({ id, content }: Envelope) => {
    void Promise.resolve(reply(content as T)).then((value) =>
      process.send?.({ id, content: value } satisfies Envelope),
    );
  });
  process.on("disconnect", () => process.exit());
  process.send?.(ready);
}
