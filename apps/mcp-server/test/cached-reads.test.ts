import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectHttp, connectStdio, eras, type Era, type TestClient } from "./support/clients.ts";
import { startServer, type Stats, type TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

interface Setup {
  readonly client: TestClient;
  counters(): Promise<Stats["cache"]>;
  close(): Promise<void>;
}

async function overHttp(era: Era): Promise<Setup> {
  const server: TestServer = await startServer();
  const client = await connectHttp(era, server.url);
  return {
    client,
    counters: async () => (await server.stats()).cache,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}

async function overStdio(era: Era): Promise<Setup> {
  const folder = temporaryFolder();
  const client = await connectStdio(era, ["--store", join(folder.path, "swarm.db")]);
  return {
    client,
    counters: async () =>
      (await client.call("server_stats")).structuredContent?.["cache"] as Stats["cache"],
    close: async () => {
      await client.close();
      folder.remove();
    },
  };
}

describe.each([
  { transport: "http", setUp: overHttp },
  { transport: "stdio", setUp: overStdio },
])("over $transport", ({ setUp }) => {
  describe.each(eras)("with a client of the %s protocol", (era) => {
    let server: Setup;
    beforeEach(async () => (server = await setUp(era)));
    afterEach(() => server.close());

    const names = async (): Promise<unknown> => {
      const { agents } = structured<{ agents: { name: string }[] }>(
        await server.client.call("list_agents"),
      );
      return agents.map(({ name }) => name);
    };

    test("the second list_agents is a hit, and after create_agent it is a miss with the new agent in it", async () => {
      await server.client.call("create_agent", { name: "Ada" });
      const before = await server.counters();
      expect(await names()).toEqual(["Ada"]);
      expect(await server.counters()).toMatchObject({
        hits: before.hits,
        misses: before.misses + 1,
      });
      expect(await names()).toEqual(["Ada"]);
      expect(await server.counters()).toMatchObject({
        hits: before.hits + 1,
        misses: before.misses + 1,
      });

      await server.client.call("create_agent", { name: "Grace" });
      expect(await names()).toEqual(["Ada", "Grace"]);
      expect(await server.counters()).toMatchObject({
        hits: before.hits + 1,
        misses: before.misses + 2,
        verifyMismatches: 0,
      });
    });
  });
});

describe("two servers that share a database file", () => {
  test("see each other's writes at once, whatever they have cached", async () => {
    const folder = temporaryFolder();
    const store = join(folder.path, "swarm.db");
    const [one, two] = [await startServer({ store }), await startServer({ store })];
    const [first, second] = [
      await connectHttp("2025", one.url),
      await connectHttp("2026", two.url),
    ];
    try {
      for (let round = 0; round < 20; round += 1) {
        expect(await count(first)).toBe(round);
        expect(await count(second)).toBe(round);
        await (round % 2 === 0 ? first : second).call("create_agent", { name: `a${round}` });
        expect(await count(first)).toBe(round + 1);
        expect(await count(second)).toBe(round + 1);
      }
    } finally {
      await Promise.all([first.close(), second.close()]);
      await Promise.all([one.close(), two.close()]);
      folder.remove();
    }
  });
});

async function count(client: TestClient): Promise<number> {
  return structured<{ agents: unknown[] }>(await client.call("list_agents")).agents.length;
}
