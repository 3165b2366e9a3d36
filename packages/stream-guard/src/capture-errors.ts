import { StreamGuardError } from "./errors.ts";

export type CaptureRefusal = "busy" | "headroom" | "exists";

/** A snapshot or profile is not taken; nothing was written. */
export class CaptureRefusedError extends StreamGuardError {
  readonly reason: CaptureRefusal;

  constructor(reason: CaptureRefusal, detail: string) {
    super("STREAM_GUARD_CAPTURE_REFUSED", `capture refused: ${detail}`);
    this.reason = reason;
  }
}
