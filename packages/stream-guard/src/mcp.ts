export { BoundedEventStore } from "./bounded-event-store.ts";
export { BoundedLines } from "./bounded-lines.ts";
export { guardResponse } from "./guard-response.ts";
export { guardTransport } from "./guard-transport.ts";
export { answerAdmission } from "./http-refusal.ts";
export { SessionMap } from "./session-map.ts";

export type { EventStoreOptions } from "./bounded-event-store.ts";
export type { BoundedLinesOptions } from "./bounded-lines.ts";
export type { GuardedResponse, GuardResponseOptions } from "./guard-response.ts";
export type { GuardTransportOptions } from "./guard-transport.ts";
export type { TransportLike } from "./guarded-transport.ts";
export type {
  SessionMapOptions,
  SessionTransport,
  SessionTransportOptions,
} from "./session-map.ts";
