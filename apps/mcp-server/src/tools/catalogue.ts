import { agentTools } from "./agent-tools.ts";
import { batchCallTool } from "./batch-call-tool.ts";
import { bulkTools } from "./bulk-tools.ts";
import { exportTools } from "./export-tool.ts";
import { fetchTools } from "./fetch-tool.ts";
import { operationsTools } from "./operations-tools.ts";
import type { Services } from "./services.ts";
import { swarmTools } from "./swarm-tools.ts";
import { taskTools } from "./task-tools.ts";
import type { Tool } from "./tool.ts";

/** Every tool of the reference server. */
export function catalogue(services: Services): readonly Tool[] {
  const first = [...agentTools(services), ...taskTools(services), ...bulkTools(services)];
  const last = [
    ...exportTools(services),
    ...swarmTools(services),
    ...fetchTools(services),
    ...operationsTools(services),
  ];
  return [...first, batchCallTool(services, [...first, ...last]), ...last];
}
