import { MAX_SERIES, OTHER } from "./cardinality.ts";
import type { LabelValues } from "./cardinality.ts";
import type { FamilyShape } from "./family-table.ts";
import type { MetricSample } from "./metric-families.ts";

interface Series {
  /** Without the labels whose value is empty. */
  readonly labels: Readonly<Record<string, string>>;
  count: number;
}

export const activeFamily: FamilyShape = {
  type: "gauge",
  name: "mcp_server_active_operations",
  help: "MCP requests and notifications that have begun and not ended",
  unit: "",
  labels: ["mcp_method_name", "gen_ai_tool_name"],
};

/** How many operations run right now, by method and tool. A series that was there once stays, at 0 when nothing runs. */
export class ActiveOperations {
  readonly #methods: LabelValues;
  readonly #tools: LabelValues;
  readonly #series = new Map<string, Series>();

  /** What `methods` and `tools` do not admit is counted as `_OTHER`; beyond `MAX_SERIES` series both labels are. */
  constructor(methods: LabelValues, tools: LabelValues) {
    this.#methods = methods;
    this.#tools = tools;
  }

  /** Counts one more until the returned function is called; calling it again changes nothing. */
  enter(method: string, tool = ""): () => void {
    const series = this.#find(this.#methods.admit(method), this.#tools.admit(tool));
    series.count += 1;
    let inside = true;
    return () => {
      if (inside) series.count -= 1;
      inside = false;
    };
  }

  read(): readonly Required<MetricSample>[] {
    return Array.from(this.#series.values(), ({ labels, count }) => ({ value: count, labels }));
  }

  #find(method: string, tool: string): Series {
    const known = this.#series.get(keyOf(method, tool));
    if (known !== undefined) return known;
    if (this.#series.size < MAX_SERIES) return this.#insert(method, tool);
    return this.#series.get(keyOf(OTHER, OTHER)) ?? this.#insert(OTHER, OTHER);
  }

  #insert(method: string, tool: string): Series {
    const labels = {
      ...(method === "" ? {} : { mcp_method_name: method }),
      ...(tool === "" ? {} : { gen_ai_tool_name: tool }),
    };
    const series: Series = { labels, count: 0 };
    this.#series.set(keyOf(method, tool), series);
    return series;
  }
}

/** Unambiguous, as no method of the protocol has a space. */
function keyOf(method: string, tool: string): string {
  return `${method} ${tool}`;
}
