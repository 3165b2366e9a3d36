import { restoreBuiltinFetch } from "./builtin-fetch.ts";
// The order matters: builtin-fetch.ts looks at the process before undici is evaluated.
import { buildConnector, Client, Dispatcher, Dispatcher1Wrapper, errors } from "undici";

restoreBuiltinFetch();

export { buildConnector, Client, Dispatcher, Dispatcher1Wrapper, errors };
