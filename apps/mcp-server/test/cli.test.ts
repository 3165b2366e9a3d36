import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fromSource } from "./support/from-source.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => (folder = temporaryFolder()));
afterEach(() => folder.remove());

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], input = ""): Promise<Outcome> {
  const child = spawn(process.execPath, [...fromSource, ...args], {
    env: { ...process.env, XDG_STATE_HOME: folder.path },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data) => (output.stdout += String(data)));
  child.stderr.on("data", (data) => (output.stderr += String(data)));
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...output };
}

function expectOneClearError(
  { code, stdout, stderr }: Outcome,
  expected: number,
  message: RegExp,
): void {
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stdout).toBe("");
  expect(code).toBe(expected);
}

describe("the command line", () => {
  test("prints its version and its help", async () => {
    expect((await run(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await run([])).stdout).toMatch(/mcp-accel serve --stdio/);
    const { stdout, code } = await run(["serve", "--help"]);
    expect(stdout).toMatch(/--http-max-body-bytes <integer>/);
    expect(code).toBe(0);
  });

  test("refuses an unknown command and an unknown flag", async () => {
    expectOneClearError(
      await run(["sreve"]),
      2,
      /Unknown command "sreve"\. The commands are: serve, config\./,
    );
    expectOneClearError(
      await run(["serve", "--prot", "1"]),
      2,
      /Unknown option '--prot'\. 'mcp-accel serve --help' lists the flags\./,
    );
    expectOneClearError(await run(["serve", "--port"]), 2, /'--port <value>' argument missing/);
    expectOneClearError(
      await run(["serve", "--port", "-1"]),
      2,
      /--port: the value looks like a flag/,
    );
    expectOneClearError(
      await run(["serve", "--port", "1", "--http-port", "2"]),
      2,
      /--port and --http-port are the same option/,
    );
    expectOneClearError(await run(["serve", "extra"]), 2, /Unexpected argument 'extra'/);
  });

  test("refuses a wrong value before anything starts", async () => {
    expectOneClearError(
      await run(["serve", "--port", "x"]),
      2,
      /--port: expected an integer from 0 to 65535, got "x"\./,
    );
    expectOneClearError(
      await run(["serve", "--host", "0.0.0.0"]),
      2,
      /http\.host \(--host\): expected one of 127\.0\.0\.1, ::1, localhost/,
    );
  });

  test("names a taken port and the flag that chooses another", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as AddressInfo;
    const message = new RegExp(
      `Port ${port} of 127\\.0\\.0\\.1 is taken by another program\\. .* --port and --ops-port`,
    );
    expectOneClearError(
      await run(["serve", "--port", String(port), "--ops-port", "0"]),
      1,
      message,
    );
    expectOneClearError(
      await run(["serve", "--port", "0", "--ops-port", String(port)]),
      1,
      message,
    );
    expectOneClearError(
      await run(["serve", "--port", "7", "--ops-port", "7"]),
      2,
      /ops\.port: expected another port than http\.port, got 7\./,
    );
    blocker.close();
  });

  test("refuses an unreadable or foreign database file, on either transport", async () => {
    const text = join(folder.path, "notes.txt");
    writeFileSync(text, "notes ".repeat(500));
    const foreign = join(folder.path, "foreign.db");
    const db = new DatabaseSync(foreign);
    db.exec("CREATE TABLE notes (text TEXT)");
    db.close();
    const serve = ["serve", "--port", "0", "--ops-port", "0", "--store"];
    expectOneClearError(
      await run([...serve, text]),
      1,
      /is not a SQLite database; it was left untouched/,
    );
    expectOneClearError(
      await run([...serve, foreign]),
      1,
      /of another program; it was left untouched/,
    );
    expectOneClearError(await run([...serve, folder.path]), 1, /Cannot open the database/);
    const missing = join(folder.path, "no", "such", "folder", "swarm.db");
    expectOneClearError(await run([...serve, missing]), 1, /Name a file in a folder that exists/);
    expectOneClearError(
      await run(["serve", "--stdio", "--store", text]),
      1,
      /is not a SQLite database/,
    );
  });
});

describe("serve over HTTP", () => {
  test("prints its URLs and a client configuration, and stops at SIGTERM", async () => {
    const store = join(folder.path, "swarm.db");
    const child = spawn(process.execPath, [
      ...fromSource,
      "serve",
      "--port",
      "0",
      "--ops-port",
      "0",
      "--store",
      store,
    ]);
    let stdout = "";
    for await (const data of child.stdout) {
      stdout += String(data);
      if (stdout.includes("Ctrl+C")) break;
    }
    const url = /serves MCP at (http:\/\/127\.0\.0\.1:\d+\/mcp)/.exec(stdout)?.[1];
    expect(stdout).toContain(`"url": "${url}"`);
    expect(stdout).toContain('"--stdio"');
    const health = /health +(\S+)/.exec(stdout)?.[1];
    expect(await (await fetch(health!)).json()).toEqual({ status: "ok" });
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number];
    expect(code).toBe(0);
  });
});

const request = (id: number, method: string, params: object = {}): string =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;

describe("serve over stdio", () => {
  const initialize = request(1, "initialize", {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "t", version: "0" },
  });

  test("answers what was asked before its input ended, with nothing but messages on stdout", async () => {
    const input = `${initialize}not json\n${request(2, "tools/call", { name: "create_agent", arguments: { name: "Ada" } })}`;
    const { code, stdout, stderr } = await run(["serve", "--stdio", "--store", ":memory:"], input);
    const answers = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: unknown; error?: { code: number } });
    expect(new Set(answers.map(({ id }) => id))).toEqual(new Set([1, null, 2]));
    expect(answers.find(({ id }) => id === null)?.error?.code).toBe(-32700);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(stderr)).toMatchObject({ level: 30, store: ":memory:" });
    expect(code).toBe(0);
  });

  test("answers what is under way when it is told to stop", async () => {
    const child = spawn(process.execPath, [
      ...fromSource,
      "serve",
      "--stdio",
      "--store",
      ":memory:",
    ]);
    const lines = createInterface({ input: child.stdout });
    const answers = lines[Symbol.asyncIterator]();
    const answer = async (id: number): Promise<Record<string, unknown>> => {
      const message = JSON.parse((await answers.next()).value as string) as { id?: number };
      return message.id === id ? message : answer(id);
    };
    child.stdin.write(initialize);
    await answer(1);
    child.stdin.write(request(2, "tools/call", { name: "create_swarm", arguments: { name: "s" } }));
    const { result } = (await answer(2)) as {
      result: { structuredContent: { swarm: { id: string } } };
    };
    const watch = { swarmId: result.structuredContent.swarm.id, timeoutMs: 500 };
    child.stdin.write(request(3, "tools/call", { name: "watch_swarm", arguments: watch }));
    child.stdin.write(request(4, "ping"));
    expect(await answer(4)).toMatchObject({ id: 4 });
    child.kill("SIGTERM");
    expect(await answer(3)).toMatchObject({ id: 3, result: {} });
    const [code] = (await once(child, "exit")) as [number];
    expect(code).toBe(0);
  });

  test.each(["SIGTERM", "the end of its input"])(
    "ends at %s although its client does not read",
    async (how) => {
      const child = spawn(process.execPath, [
        ...fromSource,
        "serve",
        "--stdio",
        "--store",
        ":memory:",
      ]);
      child.stdout.pause();
      child.stdin.on("error", () => {});
      child.stdin.write(initialize);
      for (let id = 2; id < 200; id += 1) child.stdin.write(request(id, "tools/list"));
      let log = "";
      for await (const data of child.stderr) {
        log += String(data);
        if (log.includes("serving")) break;
      }
      if (how === "SIGTERM") child.kill("SIGTERM");
      else child.stdin.end();
      const [code] = (await once(child, "exit")) as [number];
      expect(code).toBe(0);
    },
  );

  test("lets a client that only asked for server/discover fall back to a 2025 protocol", async () => {
    const discover = request(0, "server/discover", {
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "t", version: "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    });
    const { stdout } = await run(
      ["serve", "--stdio", "--store", ":memory:"],
      `${discover}${initialize}`,
    );
    const answers = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: number; result: Record<string, unknown> });
    expect(answers.find(({ id }) => id === 0)?.result["supportedVersions"]).toContain("2026-07-28");
    expect(answers.find(({ id }) => id === 1)?.result["protocolVersion"]).toBe("2025-11-25");
  });
});
