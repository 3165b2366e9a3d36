/** An error for the person who runs or calls the server: it says what was expected, what came and what to do. */
export class McpAccelError extends Error {
  override readonly name: string = "McpAccelError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A wrong flag, environment variable or configuration file entry; nothing has been started. */
export class ConfigError extends McpAccelError {
  override readonly name = "ConfigError";

  constructor(message: string, options?: ErrorOptions) {
    super("MCP_ACCEL_CONFIG", message, options);
  }
}

/** The database file cannot be used; it has not been changed. */
export class StoreOpenError extends McpAccelError {
  override readonly name = "StoreOpenError";

  constructor(message: string, options?: ErrorOptions) {
    super("MCP_ACCEL_STORE", message, options);
  }
}

/** The listener could not be started. */
export class ListenError extends McpAccelError {
  override readonly name = "ListenError";

  constructor(message: string, options?: ErrorOptions) {
    super("MCP_ACCEL_LISTEN", message, options);
  }
}
