import { expect, test } from "vitest";
import { NotWrittenError } from "../src/connection.ts";
import { Exchange } from "../src/exchange.ts";
import type { Carrier } from "../src/exchange.ts";
import type { PoolDispatchOptions } from "../src/prepare-dispatch.ts";
import { mayReplay } from "../src/replay.ts";

const carrier: Carrier = {
  now: () => 0,
  schedule: () => () => undefined,
  headersTimeoutMs: 0,
  started: () => undefined,
  streaming: () => undefined,
  finished: () => undefined,
  release: () => undefined,
  again: () => false,
  unavailable: (_exchange, cause) => cause,
};
const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" });

function stale(options: Partial<PoolDispatchOptions>, state: Partial<Exchange>): Exchange {
  const exchange = new Exchange(carrier, { path: "/", method: "GET", ...options }, {}, "request");
  return Object.assign(exchange, { started: true, reused: true, attempts: 1, ...state });
}

test.each<[string, Partial<PoolDispatchOptions>, Partial<Exchange>, Error, boolean]>([
  ["a GET on a used connection that was reset", {}, {}, reset, true],
  ["a PUT with bytes", { method: "PUT", body: Buffer.from("x") }, {}, reset, true],
  ["a POST that is idempotent", { method: "POST", body: "x", idempotent: true }, {}, reset, true],
  ["a POST", { method: "POST", body: "x" }, {}, reset, false],
  ["a GET that is not idempotent", { idempotent: false }, {}, reset, false],
  ["one that was replayed before", {}, { replayed: true }, reset, false],
  ["one that was answered in part", {}, { responded: true }, reset, false],
  ["one on a new connection", {}, { reused: false }, reset, false],
  ["one with another error", {}, {}, new Error("no code"), false],
  [
    "one that timed out",
    {},
    {},
    Object.assign(new Error("late"), { code: "UND_ERR_HEADERS_TIMEOUT" }),
    false,
  ],
  [
    "a POST that was not written",
    { method: "POST" },
    { started: false },
    new NotWrittenError(),
    true,
  ],
  ["one that was not written three times", {}, { attempts: 3 }, new NotWrittenError(), false],
])("%s", (_name, options, state, error, expected) => {
  expect(mayReplay(stale(options, state), error)).toBe(expected);
});
