// Ten processes that hold more memory for good reasons.
import { Duplex } from "node:stream";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import type { Scenario } from "./scenario.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const HOUR_STEPS = 12;
const NUMBERS: readonly number[] = Array.from({ length: 4 * MIB }, (_, index) => index + 0.5);

export const innocent: Readonly<Record<string, Scenario>> = {
  "cache filling to its bound": () => {
    const cache = new Map<number, unknown>();
    return (step) => {
      for (let entry = 0; entry < 200; entry += 1) {
        cache.set(step * 1000 + entry, state(10 * KIB));
        if (cache.size > 2400) cache.delete(cache.keys().next().value ?? 0);
      }
    };
  },

  "warm-up and compiled code": () => {
    const compiled: unknown[] = [];
    return (step) => {
      const count = Math.round(400 * Math.exp(-step / 4));
      for (let made = 0; made < count; made += 1) {
        const numbers = Array.from({ length: 100 }, (_, index) => step + made * index);
        const body = `return [${numbers.join()}].length`;
        // eslint-disable-next-line no-new-func, typescript/no-implied-eval
        const run = new Function(body) as () => number;
        run();
        compiled.push(run);
      }
    };
  },

  "load doubling": ({ guard }) => {
    const open: { readonly session: StreamingSession; readonly held: unknown }[] = [];
    return async (step) => {
      for (const { session } of open.splice(0)) await session.close();
      const sessions = (step < 3 * HOUR_STEPS ? 150 : 300) + ((step * 37) % 60);
      for (let count = 0; count < sessions; count += 1)
        open.push({ session: guard.open(), held: state(50 * KIB) });
    };
  },

  "step from a config reload": () => {
    let config = state(10 * MIB);
    return (step) => {
      if (step === 3 * HOUR_STEPS) config = state(30 * MIB);
      return void config;
    };
  },

  "long-lived session with progress": ({ guard }) => {
    const session = guard.open({ id: "long" });
    session.begin();
    session.reserve(MIB);
    return () => {
      session.release(64 * KIB);
      session.reserve(64 * KIB);
    };
  },

  "burst of sessions closing late": ({ guard, time }) => {
    const open: StreamingSession[] = [];
    return async (step) => {
      if (step % 36 === 6) for (let count = 0; count < 300; count += 1) open.push(guard.open());
      for (const session of open) session.reserve(KIB);
      time.advance(1000);
      for (const session of open.splice(0, 25)) await session.close();
    };
  },

  "big buffer freed at the next collection": () => {
    let last: unknown;
    return (step) => {
      last = Buffer.alloc((20 + ((step * 7) % 30)) * MIB);
      if (step % 2 === 0) last = undefined;
      return void last;
    };
  },

  "WeakMap memo": ({ guard }) => {
    const memo = new WeakMap<object, unknown>();
    return async () => {
      for (let count = 0; count < 50; count += 1) {
        const session = guard.open();
        memo.set(session, { session, bytes: state(10 * KIB) });
        await session.close();
      }
    };
  },

  "pool growing to its maximum": ({ detector }) => {
    const pool: unknown[] = [];
    return () => {
      for (let count = 0; count < 2 && pool.length < 48; count += 1) {
        const connection = Object.assign(new Duplex(), { held: state(200 * KIB) });
        detector.track(connection, { kind: "connection", maxOpenMs: 24 * 3_600_000 });
        pool.push(connection);
      }
    };
  },

  "lazy module load": () => async (step) => {
    if (step % 30 !== 20) return;
    const source = `export const table = Array.from({ length: ${MIB} }, (_, index) => index + ${step});`;
    await import(`data:text/javascript,${encodeURIComponent(source)}`);
  },
};

/** An array that takes about so many bytes of V8's heap. */
function state(bytes: number): unknown {
  return NUMBERS.slice(0, bytes / 8);
}
