// Ten ways to leak. Each is named after what a finding's place must mention.
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import type { Scenario } from "./scenario.ts";

const KIB = 1024;
/** Every five minutes so much is 5.4 MB in an hour. */
const STEP_BYTES = 450 * KIB;

export const planted: Readonly<Record<string, Scenario>> = {
  "closed session kept in an array": ({ guard }) => {
    const kept: unknown[] = [];
    function openKept(): Promise<void> {
      const session = guard.open();
      kept.push(session);
      return session.close();
    }
    return openKept;
  },

  "session never closed": ({ guard }) => {
    function openForgotten(): void {
      guard.open().begin();
    }
    return openForgotten;
  },

  "listener kept on a long-lived emitter": ({ guard }) => {
    const bus = new EventEmitter().setMaxListeners(0);
    function openListening(): Promise<void> {
      const session = guard.open();
      bus.on("config", () => session.touch());
      return session.close();
    }
    return openListening;
  },

  "timer closure": ({ detector }) => {
    function openTimed(): void {
      const handle = { send: () => {} };
      const tracked = detector.track(handle, { kind: "upstream" });
      setInterval(() => handle.send(), 3_600_000).unref();
      tracked.close();
    }
    return openTimed;
  },

  "Map cache without bound": () => {
    const cache = new Map<number, unknown>();
    return (step) => {
      for (let entry = 0; entry < STEP_BYTES / KIB; entry += 1)
        cache.set(
          step * 10_000 + entry,
          Array.from({ length: 118 }, () => entry),
        );
    };
  },

  "promise chain never settled holding buffers": () => {
    const first = new Promise(() => {});
    let last = first;
    return () => {
      const buffer = Buffer.alloc(STEP_BYTES);
      last = last.then(() => buffer.length);
      return void first;
    };
  },

  "bytes reserved never released": ({ guard }) => {
    function openHolding(): void {
      const session = guard.open();
      session.begin();
      session.reserve(64 * KIB);
    }
    return openHolding;
  },

  "handle dropped without close": ({ detector }) => {
    function openDropped(step: number): void {
      detector.track({ step }, { kind: "file", name: `report-${step}` });
    }
    return openDropped;
  },

  "stream destroyed but referenced by a closure": ({ detector }) => {
    const later: (() => unknown)[] = [];
    function openStream(): void {
      const stream = new Readable({ read: () => {} });
      detector.track(stream, { kind: "stream" });
      later.push(() => stream.readableLength);
      stream.destroy();
    }
    return openStream;
  },

  "slow heap ramp in a global": () => {
    const history: number[][] = [];
    Object.assign(globalThis, { history });
    return (step) => {
      history.push(Array.from({ length: STEP_BYTES / 8 }, (_, index) => step + index / 10));
    };
  },
};
