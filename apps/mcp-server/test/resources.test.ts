import { Client as Client2025 } from "@modelcontextprotocol/sdk/client/index.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectHttp, eras, type TestClient } from "./support/clients.ts";
import { startServer, type TestServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";

describe.each(eras)("resources and prompts over the %s protocol", (era) => {
  let server: TestServer;
  let client: TestClient;
  let swarmId: string;
  beforeEach(async () => {
    server = await startServer();
    client = await connectHttp(era, server.url);
    const created = await client.call("create_swarm", { name: "s", goal: "test", size: 1 });
    swarmId = structured<{ swarm: { id: string } }>(created).swarm.id;
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  test("swarms are listed and read; agents are read by the template", async () => {
    const { resources } = await client.client.listResources();
    expect(resources).toMatchObject([{ uri: `swarm://${swarmId}`, name: "s", title: "test" }]);
    const { contents } = await client.client.readResource({ uri: `swarm://${swarmId}` });
    expect(JSON.parse((contents[0] as { text: string }).text)).toMatchObject({
      agents: { active: 1 },
    });
    const { resourceTemplates } = await client.client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      "swarm://{swarmId}",
      "agent://{agentId}",
    ]);
    const { agents } = structured<{ agents: { id: string }[] }>(await client.call("list_agents"));
    const agent = await client.client.readResource({ uri: `agent://${agents[0]!.id}` });
    expect((agent.contents[0] as { text: string }).text).toContain(agents[0]!.id);
  });

  test.each(["swarm://none", "agent://none", "file:///etc/passwd", "swarm://"])(
    "%s is not found",
    async (uri) => {
      await expect(client.client.readResource({ uri })).rejects.toThrow(/not found/i);
    },
  );

  test("a subscriber hears of a change of its resource", async () => {
    const uri = `swarm://${swarmId}`;
    const heard = Promise.withResolvers<string>();
    if (client.client instanceof Client2025) {
      client.client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) =>
        heard.resolve(params.uri),
      );
      await client.client.subscribeResource({ uri });
    } else {
      client.client.setNotificationHandler("notifications/resources/updated", ({ params }) =>
        heard.resolve(params.uri),
      );
      await client.client.listen({ resourceSubscriptions: [uri] });
    }
    await client.call("create_agent", { name: "Ada", swarmId });
    expect(await heard.promise).toBe(uri);
  });

  test("prompts are listed and rendered, and refuse what they do not take", async () => {
    const { prompts } = await client.client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(["plan_swarm", "review_workload"]);
    const { messages } = await client.client.getPrompt({
      name: "plan_swarm",
      arguments: { goal: "ship it" },
    });
    expect(messages[0]?.content).toMatchObject({
      text: expect.stringContaining("at most 5 agents for this goal: ship it") as string,
    });
    await expect(client.client.getPrompt({ name: "plan_swarm" })).rejects.toMatchObject({
      code: -32602,
    });
    await expect(client.client.getPrompt({ name: "none" })).rejects.toThrow(/Unknown prompt: none/);
  });
});
