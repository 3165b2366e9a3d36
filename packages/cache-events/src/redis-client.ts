/** What is used of a node-redis client (`createClient()` of `redis` or `@redis/client`), by structure: importing this package needs neither. */
export interface RedisClientLike {
  readonly options?: unknown;
  duplicate(overrides: never): RedisClientLike;
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(args: string[]): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  unref(): void;
}

/**
 * A client of our own with the user's address and credentials. It serves one connection and is then thrown away: what the link
 * has to know (tracking, whether the server restarted) belongs to a connection, and a client that reconnects by itself would hide
 * its end and might send a command again.
 */
export function duplicateOf(client: RedisClientLike, options: DuplicateOptions): RedisClientLike {
  const { socket } = (client.options ?? {}) as { readonly socket?: object };
  const overrides = {
    RESP: 3,
    emitInvalidate: options.tracking,
    clientSideCache: undefined,
    disableOfflineQueue: true,
    // Those, and the questions that go with them.
    commandsQueueMaxLength: 2 * options.maxPending + 16,
    commandOptions: { timeout: undefined },
    pingInterval: undefined,
    readonly: false,
    // A maintenance notice makes the client move to another socket, where nothing is tracked.
    maintNotifications: "disabled",
    socket: {
      ...socket,
      connectTimeout: options.connectTimeoutMs,
      socketTimeout: undefined,
      reconnectStrategy: false,
    },
  };
  return client.duplicate(overrides as never);
}

export interface DuplicateOptions {
  readonly tracking: boolean;
  readonly maxPending: number;
  readonly connectTimeoutMs: number;
}
