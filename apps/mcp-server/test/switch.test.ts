import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { off, type Feature } from "../src/features/feature.ts";
import { Switch } from "../src/features/switch.ts";
import { switchedGuards } from "../src/features/switched.ts";
import type { Host } from "../src/host/host.ts";
import type { LineTransport } from "../src/stdio/line-transport.ts";
import { testConfig } from "./support/servers.ts";

interface Named extends Feature {
  readonly name: string;
}

function setUp() {
  const happened: string[] = [];
  const errors: unknown[] = [];
  let made = 0;
  const failing = new Set<string>();
  const make = (): Named => {
    const name = `f${(made += 1)}`;
    const step = (what: string) => async (): Promise<void> => {
      happened.push(`${name} ${what}`);
      if (failing.has(`${name} ${what}`)) throw new Error(`${name} ${what}`);
    };
    return {
      name,
      stats: () => ({}),
      collectables: [],
      free: step("free"),
      finish: step("finish"),
      [Symbol.asyncDispose]: step("dispose"),
    };
  };
  const one = new Switch(make, testConfig(), (error) => errors.push(error));
  const replace = (): void => one.prepare(testConfig()).commit();
  return { one, happened, errors, failing, replace };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a call keeps what it began with, which is closed when the last of them has ended", async () => {
  const { one, happened, replace } = setUp();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const calls = gates.map(({ promise }) =>
    one.use(async (feature) => {
      await promise;
      return feature.name;
    }),
  );
  replace();
  expect(one.current.name).toBe("f2");
  expect(await one.use(async ({ name }) => name)).toBe("f2");
  expect(happened).toEqual(["f1 free"]);
  gates[0]?.resolve();
  expect(await calls[0]).toBe("f1");
  await turn();
  expect(happened).toEqual(["f1 free"]);
  expect(one.retiring).toBe(1);
  gates[1]?.resolve();
  expect(await calls[1]).toBe("f1");
  await turn();
  expect(happened).toEqual(["f1 free", "f1 finish", "f1 dispose"]);
  expect(one.retiring).toBe(0);
});

test("what nobody uses is closed at once, and what is current stays open when its calls end", async () => {
  const { one, happened, replace } = setUp();
  await one.use(async () => {});
  expect(happened).toEqual([]);
  replace();
  await turn();
  expect(happened).toEqual(["f1 free", "f1 finish", "f1 dispose"]);
});

test("a call that fails ends its hold, and a hold ends once", async () => {
  const { one, happened, replace } = setUp();
  const first = one.hold();
  const second = one.hold();
  await expect(one.use(async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  replace();
  first.release();
  first.release();
  await turn();
  expect(happened).toEqual(["f1 free"]);
  second.release();
  await turn();
  expect(happened).toContain("f1 dispose");
});

test("an end that fails is reported, and the rest is done all the same", async () => {
  const { one, happened, errors, failing, replace } = setUp();
  failing.add("f1 free").add("f1 finish");
  replace();
  await turn();
  expect(happened).toEqual(["f1 free", "f1 finish", "f1 dispose"]);
  expect(errors.map((error) => (error as Error).message)).toEqual(["f1 free", "f1 finish"]);
  expect(one.retiring).toBe(0);
});

test("what was prepared and is not wanted is closed, and nothing else happened", async () => {
  const { one, happened } = setUp();
  await one.prepare(testConfig()).discard();
  expect(one.current.name).toBe("f1");
  expect(happened).toEqual(["f2 dispose"]);
});

test("the end of the server closes what is current and what still has calls", async () => {
  const { one, happened, replace } = setUp();
  one.hold();
  replace();
  await one[Symbol.asyncDispose]();
  expect(happened).toEqual(["f1 free", "f2 dispose", "f1 dispose"]);
});

const refuse = (): never => {
  throw new Error("full");
};
const guarded = (guardResponse: Host["guardResponse"]) => {
  const disposed: string[] = [];
  const one = new Switch(
    () => ({
      ...off,
      guardResponse,
      guardTransport: (transport: LineTransport) => transport,
      [Symbol.asyncDispose]: async () => void disposed.push("closed"),
    }),
    testConfig(),
    () => {},
  );
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  return { one, disposed, response, guard: () => switchedGuards(one).guardResponse(response) };
};

test("the guard of a response stays until the response has ended", async () => {
  const { one, disposed, response, guard } = guarded(() => undefined);
  guard();
  one.prepare(testConfig()).commit();
  await turn();
  expect(disposed).toEqual([]);
  response.destroy();
  await turn();
  await turn();
  expect(disposed).toEqual(["closed"]);
});

test("the guard of a response is not held by a response that has ended already", async () => {
  const { one, disposed, response, guard } = guarded(() => undefined);
  response.destroy();
  await turn();
  await turn();
  guard();
  one.prepare(testConfig()).commit();
  await turn();
  expect(disposed).toEqual(["closed"]);
});

test("the guard of a response is not held by a response that it refused", async () => {
  const { one, disposed, guard } = guarded(refuse);
  expect(guard).toThrow("full");
  one.prepare(testConfig()).commit();
  await turn();
  expect(disposed).toEqual(["closed"]);
});
