import type { Host } from "../host/host.ts";
import type { ToolMiddleware } from "../host/tool-runtime.ts";
import type { BulkService, ExportService, HttpService } from "../tools/services.ts";
import type { Feature } from "./feature.ts";
import type { Switch } from "./switch.ts";

/** The services as the tools and the transports see them: each call asks its switch once, when it begins. */

export function switchedBulk(bulk: Switch<Feature & BulkService>): BulkService {
  return {
    assign: (task, signal) => bulk.use((current) => current.assign(task, signal)),
    assignAll: (tasks, options) => bulk.use((current) => current.assignAll(tasks, options)),
    runAll: (calls, options) => bulk.use((current) => current.runAll(calls, options)),
  };
}

export function switchedExports(exports: Switch<Feature & ExportService>): ExportService {
  return {
    stream: (chunks, consume, signal) =>
      exports.use((current) => current.stream(chunks, consume, signal)),
    collect: (chunks, signal) => exports.use((current) => current.collect(chunks, signal)),
  };
}

export function switchedHttp(http: Switch<Feature & HttpService>): HttpService {
  return { get: (url, init) => http.use((current) => current.get(url, init)) };
}

export function switchedMiddleware<T extends Feature>(
  feature: Switch<T>,
  pick: (current: T) => ToolMiddleware,
): ToolMiddleware {
  return (call, next) => feature.use((current) => pick(current)(call, next));
}

type Guards = Pick<Host, "guardResponse" | "guardTransport">;

export function switchedGuards(guard: Switch<Feature & Guards>): Guards {
  return {
    guardResponse: (response) => {
      const { feature, release } = guard.hold();
      try {
        const gate = feature.guardResponse(response);
        if (response.closed) release();
        else response.once("close", release);
        return gate;
      } catch (error) {
        release();
        throw error;
      }
    },
    // The connection on stdin and stdout is one call: it keeps what it began with.
    guardTransport: (transport, destination) =>
      guard.hold().feature.guardTransport(transport, destination),
  };
}
