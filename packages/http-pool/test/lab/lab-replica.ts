import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Behaviour, FromReplica, ToReplica } from "./replica-messages.ts";

const SCRIPT = new URL("replica-process.ts", import.meta.url);

/** A real upstream in a real process, which can be told to misbehave, stopped and killed. */
export class LabReplica {
  #child: ChildProcess | undefined;
  #port = 0;
  #lastId = 0;

  static async start(behaviour?: Behaviour): Promise<LabReplica> {
    const replica = new LabReplica();
    await replica.start();
    if (behaviour !== undefined) await replica.behave(behaviour);
    return replica;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts, or starts again on the same port, unless it runs. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const child = fork(SCRIPT, [String(this.#port)], { execArgv: [] });
    this.#child = child;
    const [{ port }] = (await once(child, "message")) as [FromReplica];
    this.#port = port ?? 0;
  }

  /** How many requests had arrived before it behaves so. */
  async behave(behave: Behaviour): Promise<number> {
    const { requests = 0 } = await this.#ask({ behave });
    return requests;
  }

  /** What has arrived so far. */
  async seen(): Promise<{ requests: number; accepted: number }> {
    const { requests = 0, accepted = 0 } = await this.#ask({});
    return { requests, accepted };
  }

  /** The process is gone at once, and its port refuses. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** The process stands still: its kernel takes connections and requests, and nobody answers. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #ask(message: Omit<ToReplica, "id">): Promise<FromReplica> {
    const child = this.#child;
    if (child === undefined) throw new Error("the replica does not run");
    this.#lastId += 1;
    const id = this.#lastId;
    const replied = new Promise<FromReplica>((resolve) => {
      const listener = (reply: FromReplica): void => {
        if (reply.reply !== id) return;
        child.off("message", listener);
        resolve(reply);
      };
      child.on("message", listener);
    });
    child.send({ ...message, id });
    return replied;
  }
}

export async function startReplicas(count: number, behaviour?: Behaviour): Promise<LabReplica[]> {
  return Promise.all(Array.from({ length: count }, () => LabReplica.start(behaviour)));
}

export async function killAll(replicas: readonly LabReplica[]): Promise<void> {
  await Promise.all(replicas.map((replica) => replica.kill()));
}
