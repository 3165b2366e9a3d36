import { randomBytes } from "node:crypto";
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  type InputRequests,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { text, userMessages } from "./content.ts";

interface State {
  readonly round: number;
}

/** Signs what a client has to send back, so that a changed state is refused. */
export const requestState = createRequestStateCodec<State>({ key: randomBytes(32) });

const nameForm = z.object({ name: z.string() });
const colorForm = z.object({ color: z.string() });
const confirmForm = z.object({ ok: z.boolean() });
const contextForm = z.object({ context: z.string() });

/** Tools and a prompt that answer with a question first. */
export function registerAsking(mcp: McpServer): void {
  registerSingleQuestions(mcp);
  registerStatefulQuestions(mcp);
  registerManyQuestions(mcp);
  registerCapabilityQuestions(mcp);
  mcp.registerPrompt(
    "test_input_required_result_prompt",
    { description: "Asks for a context" },
    ({ mcpReq }) => {
      const answer = acceptedContent(mcpReq.inputResponses, "user_context", contextForm);
      if (answer === undefined)
        return ask({ user_context: form("What context should the prompt use?", contextForm) });
      return { messages: userMessages([text(answer.context)]) };
    },
  );
}

function registerSingleQuestions(mcp: McpServer): void {
  const description = "Asks one question";
  mcp.registerTool("test_input_required_result_elicitation", { description }, ({ mcpReq }) => {
    const answer = acceptedContent(mcpReq.inputResponses, "user_name", nameForm);
    if (answer === undefined) return ask({ user_name: form("What is your name?", nameForm) });
    return { content: [text(`Hello, ${answer.name}!`)] };
  });
  mcp.registerTool("test_input_required_result_sampling", { description }, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "capital_question");
    if (answer.kind !== "sampling")
      return ask({ capital_question: sampling("What is the capital of France?") });
    return { content: [text(JSON.stringify(answer.result.content))] };
  });
  mcp.registerTool("test_input_required_result_list_roots", { description }, ({ mcpReq }) => {
    const answer = inputResponse(mcpReq.inputResponses, "client_roots");
    if (answer.kind !== "roots") return ask({ client_roots: inputRequired.listRoots() });
    return { content: [text(answer.roots.map(({ uri }) => uri).join(", "))] };
  });
}

function registerStatefulQuestions(mcp: McpServer): void {
  const names = [
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
  ];
  for (const name of names)
    mcp.registerTool(name, { description: "Asks with a signed state" }, async ({ mcpReq }) => {
      const answer = acceptedContent(mcpReq.inputResponses, "confirm", confirmForm);
      if (answer === undefined || mcpReq.requestState<State>()?.round !== 1)
        return ask({ confirm: form("Please confirm", confirmForm) }, 1);
      return { content: [text("state-ok")] };
    });
  mcp.registerTool(
    "test_input_required_result_multi_round",
    { description: "Asks twice" },
    async ({ mcpReq }) => {
      const round = mcpReq.requestState<State>()?.round;
      const { inputResponses } = mcpReq;
      if (round === 2) {
        const color = acceptedContent(inputResponses, "step2", colorForm)?.color;
        if (color !== undefined) return { content: [text(`Your favorite color is ${color}`)] };
      }
      if (
        round === 2 ||
        (round === 1 && acceptedContent(inputResponses, "step1", nameForm) !== undefined)
      )
        return ask({ step2: form("Step 2: What is your favorite color?", colorForm) }, 2);
      return ask({ step1: form("Step 1: What is your name?", nameForm) }, 1);
    },
  );
}

function registerManyQuestions(mcp: McpServer): void {
  const name = "test_input_required_result_multiple_inputs";
  mcp.registerTool(name, { description: "Asks three questions at once" }, async ({ mcpReq }) => {
    const kinds = ["user_name", "greeting", "client_roots"].map(
      (key) => inputResponse(mcpReq.inputResponses, key).kind,
    );
    const answered = kinds.every((kind) => kind !== "missing");
    if (answered && mcpReq.requestState<State>()?.round === 1)
      return { content: [text(`Answered: ${kinds.join(", ")}`)] };
    const questions = {
      user_name: form("What is your name?", nameForm),
      greeting: sampling("Generate a greeting"),
      client_roots: inputRequired.listRoots(),
    };
    return ask(questions, 1);
  });
}

function registerCapabilityQuestions(mcp: McpServer): void {
  mcp.registerTool("test_missing_capability", { description: "Needs a client that samples" }, () =>
    ask({ question: sampling("Are you there?") }),
  );
  mcp.registerTool("test_streaming_elicitation", { description: "Asks on its own stream" }, () =>
    ask({ user_name: form("What is your name?", nameForm) }),
  );
  const name = "test_input_required_result_capabilities";
  mcp.registerTool(name, { description: "Asks what the client can answer" }, (context) => {
    const can = capabilities(context);
    return ask({
      ...(can?.sampling && { question: sampling("What is the capital of France?") }),
      ...(can?.elicitation && { user_name: form("What is your name?", nameForm) }),
    });
  });
}

async function ask(inputRequests: InputRequests, round?: number) {
  if (round === undefined) return inputRequired({ inputRequests });
  return inputRequired({ inputRequests, requestState: await requestState.mint({ round }) });
}

function form(message: string, requestedSchema: z.ZodObject): InputRequests[string] {
  return inputRequired.elicit({ message, requestedSchema });
}

function sampling(question: string): InputRequests[string] {
  return inputRequired.createMessage({ messages: userMessages([text(question)]), maxTokens: 100 });
}

function capabilities({ mcpReq }: ServerContext): ClientCapabilities | undefined {
  return (mcpReq.envelope as Partial<Record<string, ClientCapabilities>> | undefined)?.[
    CLIENT_CAPABILITIES_META_KEY
  ];
}
