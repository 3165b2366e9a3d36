import { McpAccelError } from "../errors.ts";
import { clip } from "../clip.ts";

/** A request that the swarm's state does not allow; nothing was changed. */
export class SwarmError extends McpAccelError {
  override readonly name = "SwarmError";
}

/** After this long a write that was refused because of another process's lock is worth another try. */
export const RETRY_AFTER_MS = 1_000;

/** Another process held the database for longer than anyone waits; nothing was written. */
export class StoreBusyError extends McpAccelError {
  override readonly name = "StoreBusyError";
  readonly retryAfterMs: number = RETRY_AFTER_MS;
}

export function storeBusy(cause?: unknown): StoreBusyError {
  return new StoreBusyError(
    "STORE_BUSY",
    `Another process holds the database; nothing was done. Try again in about ${RETRY_AFTER_MS} ms.`,
    cause === undefined ? undefined : { cause },
  );
}

/** The server is stopping; nothing was written. */
export function storeClosed(): McpAccelError {
  return new McpAccelError(
    "STORE_CLOSED",
    "The server is stopping; nothing was done. Try again when it runs.",
  );
}

export function agentNotFound(id: string): SwarmError {
  return new SwarmError("AGENT_NOT_FOUND", `No agent "${id}". list_agents shows those that exist.`);
}

export function taskNotFound(id: string): SwarmError {
  return new SwarmError("TASK_NOT_FOUND", `No task "${id}". list_tasks shows those that exist.`);
}

export function swarmNotFound(id: string): SwarmError {
  return new SwarmError(
    "SWARM_NOT_FOUND",
    `No swarm "${id}". create_swarm makes one and returns its id.`,
  );
}

export function agentRetired(id: string): SwarmError {
  return new SwarmError("AGENT_RETIRED", `Agent "${id}" is retired and takes no more tasks.`);
}

export function agentNotInSwarm(agentId: string, swarmId: string): SwarmError {
  return new SwarmError(
    "AGENT_NOT_IN_SWARM",
    `Agent "${agentId}" is not in swarm "${swarmId}". Leave out swarmId, or name an agent of that swarm.`,
  );
}

export function noAgentAvailable(swarmId: string | undefined): SwarmError {
  const where = swarmId === undefined ? "" : ` in swarm "${swarmId}"`;
  return new SwarmError(
    "NO_AGENT_AVAILABLE",
    `No active agent${where}. create_agent or scale_swarm adds one.`,
  );
}

export function taskAlreadyCompleted(id: string, status: string): SwarmError {
  return new SwarmError("TASK_ALREADY_COMPLETED", `Task "${id}" is already ${status}.`);
}

export function badCursor(cursor: string): SwarmError {
  return new SwarmError(
    "BAD_CURSOR",
    `"${clip(cursor, 40)}" is not a cursor of this list. Pass nextCursor of the previous page, or none for the first.`,
  );
}
