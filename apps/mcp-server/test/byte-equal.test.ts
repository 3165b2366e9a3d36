import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compose, type Composition } from "../src/compose.ts";
import type { Config } from "../src/config/options.ts";
import type { Host } from "../src/host/host.ts";
import { listen } from "../src/http/listen.ts";
import { McpEndpoint } from "../src/http/mcp-endpoint.ts";
import { createLogger } from "../src/log.ts";
import { serveStdio } from "../src/stdio/serve-stdio.ts";
import { eras, type Era } from "./support/clients.ts";
import { plainHost } from "./support/plain-host.ts";
import { testConfig } from "./support/servers.ts";

/** What is sent: the texts of the answers so far say which ids there are. */
type Send = (message: object) => Promise<string>;
type Transport = "http" | "stdio";
interface Conversation extends AsyncDisposable {
  readonly send: Send;
}

let upstream: Server;
let upstreamUrl: string;
beforeAll(async () => {
  upstream = createServer((request, response) => {
    const away = request.url === "/away" ? { location: "/" } : {};
    const headers = { "content-type": "text/plain; charset=utf-8", ...away };
    response.writeHead(request.url === "/away" ? 302 : 200, headers).end("a page");
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
});
afterAll(() => void upstream.close());

const clientMeta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "bytes", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** The whole protocol and every tool but `server_stats`, good calls and bad ones, each read twice and again after a write. */
async function script(era: Era, send: Send): Promise<string[]> {
  const answers: string[] = [];
  let id = 0;
  const ask = async (method: string, params: object = {}, meta: object = {}): Promise<string> => {
    const era2026 = era === "2026" ? clientMeta : {};
    const all = { ...era2026, ...meta };
    const _meta = Object.keys(all).length === 0 ? {} : { _meta: all };
    const message = { jsonrpc: "2.0", id: (id += 1), method, params: { ...params, ..._meta } };
    const answer = await send(message);
    answers.push(answer);
    return answer;
  };
  const call = (name: string, args: object = {}, meta: object = {}): Promise<string> =>
    ask("tools/call", { name, arguments: args }, meta);
  if (era === "2025") {
    const clientInfo = { name: "bytes", version: "1" };
    await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    await send({ jsonrpc: "2.0", method: "notifications/initialized" });
  } else {
    await ask("server/discover");
  }
  for (const list of ["tools/list", "prompts/list", "resources/list", "resources/templates/list"])
    await ask(list);
  const swarmId = idIn(await call("create_swarm", { name: "s", goal: "g", size: 2 }), "swarm");
  const agentId = idIn(await call("create_agent", { name: "Ada", swarmId }), "agent");
  const reads = async (): Promise<void> => {
    await call("list_agents", { swarmId });
    await call("get_agent", { agentId });
    await call("agent_workload", { swarmId });
    await call("swarm_status", { swarmId });
    await call("list_tasks", { limit: 2 });
  };
  await reads();
  await reads();
  const taskId = idIn(await call("assign_task", { title: "é ✓", agentId }), "task");
  await call("assign_tasks", { tasks: [{ title: "a" }, { title: "b", agentId: "nobody" }] });
  await reads();
  await call("get_task", { taskId });
  await call("complete_task", { taskId, result: "done" });
  await call("get_task", { taskId });
  await call("complete_task", { taskId });
  await call("export_tasks", { status: "done" });
  await call("export_tasks", { delivery: "progress" });
  await call("export_tasks", { delivery: "progress" }, { progressToken: "p" });
  await call("scale_swarm", { swarmId, size: 3 });
  await call("watch_swarm", { swarmId, timeoutMs: 0 });
  await call("batch_call", {
    calls: [{ name: "get_agent", arguments: { agentId } }, { name: "no_such_tool" }],
  });
  await call("fetch_url", { url: `${upstreamUrl}/away` });
  await call("fetch_url", { url: upstreamUrl, maxBytes: 3 });
  await call("fetch_url", { url: "http://u:p@127.0.0.1/" });
  await call("cache_clear", { tags: ["agents"] });
  await call("retire_agent", { agentId });
  await reads();
  await ask("resources/read", { uri: `swarm://${swarmId}` });
  await ask("resources/read", { uri: "swarm://none" });
  await ask("prompts/get", { name: "plan_swarm", arguments: {} });
  await call("no_such_tool");
  await call("get_agent", { agentId: "nobody" });
  await call("get_agent", { agentId: 1, more: 2 });
  await ask("no/such/method");
  return answers;
}

function idIn(answer: string, kind: string): string {
  const [found] = new RegExp(`${kind}_[0-9a-f]{16}`).exec(answer) ?? [];
  if (found === undefined) throw new Error(`no ${kind} in ${answer}`);
  return found;
}

/** Only what differs between two runs of one server: ids in their order, times, the name of the session. */
function comparable(answers: readonly string[]): string[] {
  const ids = new Map<string, string>();
  return answers.map((answer) =>
    answer
      .replaceAll(/(agent|task|swarm)_[0-9a-f]{16}/g, (id, kind: string) => {
        if (!ids.has(id)) ids.set(id, `${kind}#${ids.size}`);
        return ids.get(id)!;
      })
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(_\d+)?/g, "UUID"),
  );
}

async function overHttp(host: Host, config: Config): Promise<Conversation> {
  const endpoint = new McpEndpoint(host, {
    maxBodyBytes: config["http.maxBodyBytes"],
    maxSessions: config["http.maxSessions"],
    sessionIdleMs: config["http.sessionIdleMs"],
    replayBytes: config["http.replayBytes"],
  });
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    requestTimeoutMs: 10_000,
    handle: (request, response) => endpoint.handle(request, response),
  });
  let session: string | undefined;
  return {
    send: async (message) => {
      const { method, params } = message as { method: string; params?: Record<string, unknown> };
      const modern = params?.["_meta"] !== undefined && session === undefined;
      const name = params?.["name"] ?? params?.["uri"];
      const headers = {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(session !== undefined && { "mcp-session-id": session }),
        ...(modern && { "mcp-protocol-version": "2026-07-28", "mcp-method": method }),
        ...(modern && name !== undefined && { "mcp-name": name as string }),
      };
      const sent = httpRequest(`${listener.url}/mcp`, { method: "POST", headers, agent: false });
      const answered = Promise.withResolvers<string>();
      sent.on("error", answered.reject);
      sent.on("response", (response) => {
        session ??= response.headers["mcp-session-id"] as string | undefined;
        const { date: _, ...rest } = response.headers;
        text(response).then(
          (body) => answered.resolve(`${response.statusCode} ${JSON.stringify(rest)}\n${body}`),
          answered.reject,
        );
      });
      sent.end(JSON.stringify(message));
      return answered.promise;
    },
    [Symbol.asyncDispose]: async () => {
      await endpoint[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

async function overStdio(host: Host, config: Config): Promise<Conversation> {
  const input = new PassThrough();
  const output = new PassThrough();
  const maxLineBytes = config["stdio.maxLineBytes"];
  const server = serveStdio(host, { input, output, maxLineBytes });
  const lines = createInterface({ input: output })[Symbol.asyncIterator]();
  return {
    send: async (message) => {
      input.write(`${JSON.stringify(message)}\n`);
      const { id } = message as { id?: number };
      if (id === undefined) return "";
      let all = "";
      for (;;) {
        const line = (await lines.next()).value as string;
        const told = JSON.parse(line) as { id?: number; method?: string };
        // Changes of resources are told when there is time, before or after the answer to what caused them.
        if (told.method !== "notifications/resources/list_changed") all += `${line}\n`;
        if (told.id === id) return all;
      }
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

const flags = { "fetch-allow-private": "true" };
const config = testConfig(flags);

async function answersOf(host: Host, era: Era, transport: Transport): Promise<string[]> {
  const open = transport === "http" ? overHttp : overStdio;
  await using conversation = await open(host, config);
  return comparable(await script(era, conversation.send));
}

async function answersWith(
  changes: Partial<Config>,
  how: "from the start" | "while it runs",
  era: Era,
  transport: Transport,
): Promise<string[]> {
  const wanted = { ...config, ...changes };
  const logger = createLogger("silent");
  await using composition: Composition = compose(how === "while it runs" ? config : wanted, logger);
  if (how === "while it runs") composition.apply(wanted, Object.keys(changes));
  return await answersOf(composition.host, era, transport);
}

/** Shows the place of the first difference: a full one of this much text would take minutes to show. */
function expectSame(actual: readonly string[], expected: readonly string[]): void {
  const here = actual.join("\n---\n");
  const there = expected.join("\n---\n");
  let at = 0;
  while (at < there.length && here[at] === there[at]) at += 1;
  const around = (whole: string): string => whole.slice(Math.max(0, at - 300), at + 200);
  expect(around(here)).toBe(around(there));
  expect(here === there).toBe(true);
}

const cases: Readonly<Record<string, Partial<Config>>> = {
  "with the cache off": { "features.cache": "off" },
  "with the cache in shadow": { "features.cache": "shadow" },
  "with the pool off": { "features.pool": "off" },
  "with the guard off": { "features.guard": "off" },
  "with the batches off": { "features.batch": "off" },
  "with the metrics off": { "features.metrics": "off" },
  "with everything off": {
    "features.cache": "off",
    "features.pool": "off",
    "features.guard": "off",
    "features.batch": "off",
    "features.metrics": "off",
  },
};

describe.each(eras)("the bytes that a server of the %s protocol answers", (era) => {
  describe.each<Transport>(["http", "stdio"])("over %s", (transport) => {
    let plain: string[];
    beforeAll(async () => {
      await using composition = compose(config, createLogger("silent"));
      const maxResultBytes = config["guard.streamMaxMemoryBytes"] / 4;
      await using host = plainHost(composition.host, maxResultBytes);
      plain = await answersOf(host, era, transport);
    });

    test("are those of a conversation in which every tool did what it does", () => {
      const all = plain.join("\n");
      expect(plain.length).toBeGreaterThan(50);
      for (const part of [
        "a page",
        "é ✓",
        '"status":"retired"',
        "UNKNOWN_TOOL",
        "notifications/progress",
      ])
        expect(all).toContain(part);
      expect(all).not.toContain("INTERNAL_ERROR");
    });

    test.each(Object.keys(cases))("are those of a plain server %s", async (name) => {
      const changes = cases[name]!;
      expectSame(await answersWith(changes, "from the start", era, transport), plain);
      expectSame(await answersWith(changes, "while it runs", era, transport), plain);
    });
  });
});
