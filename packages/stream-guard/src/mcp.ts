export { guardResponse } from "./guard-response.ts";
export { guardTransport } from "./guard-transport.ts";

export type { GuardedResponse, GuardResponseOptions } from "./guard-response.ts";
export type { GuardTransportOptions } from "./guard-transport.ts";
export type { TransportLike } from "./guarded-transport.ts";
