import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { TestServer } from "./helpers/test-server.ts";

const run = promisify(execFile);
const index = new URL("../src/index.ts", import.meta.url).href;
const mcp = new URL("../src/mcp.ts", import.meta.url).href;

async function inChild(script: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script]);
  return JSON.parse(stdout) as unknown;
}

const STATE = `
  const symbols = ["undici.globalDispatcher.1", "undici.globalDispatcher.2"].map((name) => Symbol.for(name));
  const state = () => symbols.map((symbol) => globalThis[symbol]);
`;

test("importing the package does not change the dispatcher of the built-in fetch", async () => {
  const script = `${STATE}
    // Reading a lazy global loads the built-in fetch with its own dispatcher.
    globalThis.Headers;
    const before = state();
    await import(${JSON.stringify(index)});
    const after = state();
    console.log(JSON.stringify({ own: before[0] !== undefined, same: before[0] === after[0] }));`;
  expect(await inChild(script)).toEqual({ own: true, same: true });
});

const fetchAfter = (load: string): string => `${STATE}
  ${load};
  const names = state().map((dispatcher) => dispatcher?.constructor.name);
  const answer = await (await fetch("data:,hello")).text();
  console.log(JSON.stringify({ legacy: names[0], current: names[1], answer }));`;

test("nor does it when nothing has been fetched yet", async () => {
  const untouched = await inChild(fetchAfter("globalThis.Headers"));
  expect(untouched).toMatchObject({ answer: "hello" });
  // The second symbol is the imported undici's own, unless Node's fetch uses it too and has set it.
  expect(await inChild(fetchAfter(`await import(${JSON.stringify(index)})`))).toMatchObject(
    untouched as object,
  );
});

test("a dispatcher that the application has set stays", async () => {
  const script = `
    const own = { dispatch() { throw new Error("mine"); } };
    // Node's own fetch reads the symbol of the undici that it is made of.
    const version = Number(process.versions.undici.split(".")[0]) >= 8 ? 2 : 1;
    const symbol = Symbol.for("undici.globalDispatcher." + version);
    globalThis[symbol] = own;
    await import(${JSON.stringify(index)});
    console.log(JSON.stringify({ same: globalThis[symbol] === own }));`;
  expect(await inChild(script)).toEqual({ same: true });
});

test("neither entry loads an MCP SDK", async () => {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({
      load(url, context, next) {
        loaded.push(url);
        return next(url, context);
      },
    });
    await import(${JSON.stringify(index)});
    await import(${JSON.stringify(mcp)});
    const sdk = loaded.filter((url) => url.includes("@modelcontextprotocol"));
    console.log(JSON.stringify({ sdk, some: loaded.length > 10 }));`;
  expect(await inChild(script)).toEqual({ sdk: [], some: true });
});

test("an idle pool does not keep a process alive", async () => {
  await using server = await new TestServer().start();
  const script = `
    import { ConnectionPool } from ${JSON.stringify(index)};
    const pool = new ConnectionPool("${server.origin}", { minIdle: 1, keepAliveTimeoutMs: 3_600_000 });
    const answer = await (await pool.fetch("${server.origin}")).text();
    await pool.warmUp(3);
    console.log(JSON.stringify({ answer, open: pool.stats().open }));`;
  expect(await inChild(script)).toEqual({ answer: "ok", open: 3 });
});
