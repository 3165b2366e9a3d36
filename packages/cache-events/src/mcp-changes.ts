import { fields, innerOf } from "./mcp-shapes.ts";
import { override } from "./override.ts";

export type ListKind = "tools" | "prompts" | "resources";

export interface McpChange {
  readonly kind: ListKind | "resource";
  /** The resource that was updated. */
  readonly uri?: string;
}

type Notify = (...args: unknown[]) => Promise<unknown>;
type SendChanged = (...args: unknown[]) => unknown;

const methods: Readonly<Record<string, McpChange["kind"]>> = {
  "notifications/tools/list_changed": "tools",
  "notifications/prompts/list_changed": "prompts",
  "notifications/resources/list_changed": "resources",
  "notifications/resources/updated": "resource",
};

const senders: Readonly<Record<string, ListKind>> = {
  sendToolListChanged: "tools",
  sendPromptListChanged: "prompts",
  sendResourceListChanged: "resources",
};

/**
 * Tells of every change that a server announces: by registering, updating or removing something, also while nobody is connected,
 * or by a notification. A notification waits until what was told is done, so that who hears it and asks gets the new answer.
 */
export function watchChanges(
  server: object,
  changed: (change: McpChange) => Promise<void>,
): () => void {
  const inner = innerOf(server);
  const restores: (() => void)[] = [];
  for (const [name, kind] of Object.entries(senders)) {
    if (server === inner || typeof fields(server)[name] !== "function") continue;
    const restore = override<SendChanged>(server, name, (send) => (...args) => {
      void changed({ kind });
      return send.apply(server, args);
    });
    restores.push(restore);
  }
  const notify = ["_notificationViaCodec", "notification"].find(
    (name) => typeof fields(inner)[name] === "function",
  );
  if (notify !== undefined) {
    const restore = override<Notify>(inner, notify, (original) => async (...args) => {
      const change = changeOf(args.find((arg) => typeof fields(arg)["method"] === "string"));
      if (change !== undefined) await changed(change);
      return original.apply(inner, args);
    });
    restores.push(restore);
  }
  return () => {
    for (const restore of restores) restore();
  };
}

function changeOf(notification: unknown): McpChange | undefined {
  const { method, params } = fields(notification);
  if (typeof method !== "string" || !Object.hasOwn(methods, method)) return undefined;
  const kind = methods[method];
  const { uri } = fields(params);
  if (kind === undefined) return undefined;
  return typeof uri === "string" ? { kind, uri } : { kind };
}
