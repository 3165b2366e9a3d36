import type { ServerResponse } from "node:http";
import { afterAdapterStart } from "./adapter-turn.ts";
import { MemoryLimitError } from "./errors.ts";
import { InTransit } from "./in-transit.ts";
import type { OpenOptions } from "./options.ts";
import { ResponseMeter } from "./response-meter.ts";
import type { StreamGuard } from "./stream-guard.ts";
import type { ReserveOptions, StreamingSession } from "./streaming-session.ts";

export interface GuardResponseOptions extends OpenOptions {
  /**
   * `write` always says that there is room, so that an adapter in front of the response hands over
   * everything it has, to where the limit can see it. True by default; set it to false for writers
   * that keep nothing while they wait for `drain`.
   */
  readonly absorb?: boolean;
}

export interface GuardedResponse {
  /** Lasts as long as the response. */
  readonly session: StreamingSession;
  /**
   * Makes a handler wait for its reader: await it before each message, with the message's encoded
   * size in bytes. The bytes stay charged until the response writes them.
   *
   * @throws MemoryLimitError when the reader makes no room in time, or the message can never fit
   * @throws QueueFullError when too many already wait
   * @throws SessionClosedError, or the signal's reason
   */
  readonly admit: (bytes: number, options?: ReserveOptions) => Promise<void>;
}

/**
 * Bounds what a `node:http` response buffers for a client that does not read. Call it before the
 * response is handed to whoever writes it. Past the limit the response is destroyed and the session
 * closes with `limit`.
 *
 * @throws AdmissionError when the guard is full
 */
export function guardResponse(
  response: ServerResponse,
  guard: StreamGuard,
  options: GuardResponseOptions = {},
): GuardedResponse {
  const { absorb = true, ...openOptions } = options;
  const session = guard.open(openOptions);
  const operation = session.begin();
  const inTransit = new InTransit(session);
  const onClose = (): void => {
    operation[Symbol.dispose]();
    void session.close(response.writableFinished ? "closed" : "destination");
  };
  new ResponseMeter(response, session, { absorb, inTransit, onClose }).attach();
  return {
    session,
    admit: async (bytes, reserveOptions) => {
      try {
        await session.reserveWhenAvailable(bytes, reserveOptions);
      } catch (error) {
        if (error instanceof MemoryLimitError) await session.close("limit");
        throw error;
      }
      afterAdapterStart(inTransit.add(bytes));
    },
  };
}
