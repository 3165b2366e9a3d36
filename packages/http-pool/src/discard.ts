import type { Dispatcher } from "undici";

type Controller = Dispatcher.DispatchController;

/** For how long what is left of an answer that nobody wants is read on. */
export const DISCARD_MS = 1000;

/** A controller that ends an answer by itself which takes too long to end. */
export interface Discarding extends Controller {
  /** What is left of the answer is not wanted; `reason` is for an end that did not come within `DISCARD_MS`. */
  discard(reason: Error): void;
}

/** Reads on, so that the connection can be used again; one that cannot limit the time is ended at once. */
export function discard(controller: Controller, reason: Error): void {
  if ("discard" in controller) (controller as Discarding).discard(reason);
  else controller.abort(reason);
}
