import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import type { ResponseGate } from "../http/caller.ts";
import type { LineTransport } from "../stdio/line-transport.ts";
import type { ResourceChanges } from "./resource-changes.ts";
import type { SwarmResources } from "./resources.ts";
import type { ToolRuntime } from "./tool-runtime.ts";

/** What every protocol revision serves. No object of an SDK is in it. */
export interface Host {
  readonly info: { readonly name: string; readonly title: string; readonly version: string };
  readonly instructions: string;
  readonly runtime: ToolRuntime;
  readonly resources: SwarmResources;
  readonly changes: ResourceChanges;
  /** Bounds what a response buffers for a reader that does not read; undefined when nothing bounds it. */
  readonly guardResponse: (response: ServerResponse) => ResponseGate | undefined;
  /** Bounds what a transport buffers for a reader that does not read. */
  readonly guardTransport: (transport: LineTransport, destination: Writable) => LineTransport;
  /** Refuses the writes that wait, and those that come: what is answered with an error from now on must not happen later. */
  readonly stopWriting: () => void;
  readonly reportError: (error: unknown, where: string) => void;
}
