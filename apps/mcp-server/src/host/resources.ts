import type { SwarmEvent } from "../swarm/events.ts";
import { SwarmError } from "../swarm/errors.ts";
import type { SwarmStore } from "../swarm/store.ts";
import { clip } from "../clip.ts";

const PAGE = 100;

export interface ResourceEntry {
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly mimeType: "application/json";
}

/** Asked for a resource that does not exist. */
export class UnknownResourceError extends Error {
  override readonly name = "UnknownResourceError";
  readonly uri: string;

  constructor(uri: string) {
    super(`Resource not found: ${clip(uri, 200)}`);
    this.uri = uri;
  }
}

export const resourceTemplates = [
  {
    uriTemplate: "swarm://{swarmId}",
    name: "swarm",
    title: "A swarm's status",
    description: "The swarm and its agents and tasks counted by status",
    mimeType: "application/json",
  },
  {
    uriTemplate: "agent://{agentId}",
    name: "agent",
    title: "An agent",
    description: "One agent",
    mimeType: "application/json",
  },
] as const;

const RESOURCE_URI = /^(swarm|agent):\/\/([\w-]{1,100})$/;

/** Swarms and agents as MCP resources. */
export class SwarmResources {
  readonly #store: SwarmStore;

  constructor(store: SwarmStore) {
    this.#store = store;
  }

  /** Lists the swarms; agents are reached by the template. */
  async list(cursor?: string): Promise<{ resources: ResourceEntry[]; nextCursor?: string }> {
    const page = await this.#store.listSwarms({ limit: PAGE, cursor });
    const resources = page.items.map((swarm): ResourceEntry => ({
      uri: `swarm://${swarm.id}`,
      name: swarm.name,
      title: swarm.goal === "" ? swarm.name : clip(swarm.goal, 100),
      mimeType: "application/json",
    }));
    return page.nextCursor === null ? { resources } : { resources, nextCursor: page.nextCursor };
  }

  /** @throws UnknownResourceError */
  async read(
    uri: string,
  ): Promise<{ contents: { uri: string; mimeType: string; text: string }[] }> {
    const data = await this.#data(uri);
    return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify(data) }] };
  }

  async #data(uri: string): Promise<object> {
    const [, kind, id] = RESOURCE_URI.exec(uri) ?? [];
    if (id === undefined) throw new UnknownResourceError(uri);
    try {
      return kind === "swarm"
        ? await this.#store.swarmStatus(id)
        : { agent: await this.#store.getAgent(id) };
    } catch (error) {
      if (error instanceof SwarmError) throw new UnknownResourceError(uri);
      throw error;
    }
  }
}

/** The resources that an event changes: those to send `resources/updated` for, and whether the list changed. */
export function changedResources(event: SwarmEvent): {
  readonly uris: readonly string[];
  readonly list: boolean;
} {
  switch (event.type) {
    case "agentCreated":
    case "agentRetired":
      return { uris: [`agent://${event.agentId}`, ...swarmUri(event.swarmId)], list: false };
    case "taskAssigned":
    case "taskCompleted":
    case "swarmScaled":
      return { uris: swarmUri(event.swarmId), list: false };
    default:
      return { uris: [], list: event.type === "swarmCreated" };
  }
}

function swarmUri(swarmId: string | null): string[] {
  return swarmId === null ? [] : [`swarm://${swarmId}`];
}
