import { z } from "zod";
import { clip } from "../clip.ts";

/** Asked for a prompt that does not exist, or with arguments it does not take. */
export class PromptError extends Error {
  override readonly name = "PromptError";
}

export interface PromptListing {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly {
    readonly name: string;
    readonly description: string;
    readonly required: boolean;
  }[];
}

export interface PromptResult {
  readonly description: string;
  readonly messages: readonly {
    readonly role: "user";
    readonly content: { readonly type: "text"; readonly text: string };
  }[];
}

interface Prompt extends PromptListing {
  readonly schema: z.ZodType<Record<string, string>>;
  readonly render: (args: Record<string, string>) => string;
}

const prompts: readonly Prompt[] = [
  {
    name: "plan_swarm",
    title: "Plan a swarm",
    description: "Plans a swarm for a goal and sets it up with the server's tools",
    arguments: [
      { name: "goal", description: "What the swarm is to achieve", required: true },
      { name: "agents", description: "How many agents at most", required: false },
    ],
    schema: z.strictObject({
      goal: z.string().min(1).max(2_000),
      agents: z
        .string()
        .regex(/^[1-9]\d{0,3}$/, "Expected a number from 1 to 9999")
        .default("5"),
    }),
    render: ({ goal, agents }) =>
      `Plan a swarm of at most ${agents} agents for this goal: ${goal}\n` +
      "First name the roles and the tasks. Then create the swarm with create_swarm, assign the tasks with assign_tasks, and show swarm_status.",
  },
  {
    name: "review_workload",
    title: "Review the workload",
    description: "Finds overloaded and idle agents of a swarm and proposes a size",
    arguments: [{ name: "swarmId", description: "The swarm's id", required: true }],
    schema: z.strictObject({ swarmId: z.string().min(1).max(100) }),
    render: ({ swarmId }) =>
      `Look at agent_workload and swarm_status of swarm ${swarmId}. Name the overloaded and the idle agents, propose a size, and ask before you call scale_swarm.`,
  },
];

export function listPrompts(): PromptListing[] {
  return prompts.map(({ name, title, description, arguments: args }) => ({
    name,
    title,
    description,
    arguments: args,
  }));
}

/** @throws PromptError */
export function getPrompt(name: string, args: unknown): PromptResult {
  const prompt = prompts.find((candidate) => candidate.name === name);
  if (prompt === undefined)
    throw new PromptError(
      `Unknown prompt: ${clip(name, 200)}. prompts/list names those that exist.`,
    );
  const parsed = prompt.schema.safeParse(args ?? {});
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new PromptError(`Invalid arguments for prompt ${name}: ${issues.join("; ")}`);
  }
  return {
    description: prompt.description,
    messages: [{ role: "user", content: { type: "text", text: prompt.render(parsed.data) } }],
  };
}
