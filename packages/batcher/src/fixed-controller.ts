import type { BatchController, BatchSettings } from "./controller.ts";

/** Always the same settings. */
export class FixedController implements BatchController {
  readonly #settings: BatchSettings;

  constructor(settings: BatchSettings) {
    this.#settings = { ...settings };
  }

  next(): BatchSettings {
    return this.#settings;
  }

  record(): void {}
}
