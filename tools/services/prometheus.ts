// Prometheus for one suite, and promtool.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./find.ts";
import { TestServer } from "./server.ts";

export const prometheusProgram: string | undefined = findProgram("prometheus");
export const promtoolProgram: string | undefined = findProgram("promtool");

/** `config` is the text of its configuration file; `files` are written beside it, by name. */
export function startPrometheus(
  config: string,
  files: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  return TestServer.start({
    name: "prometheus",
    command(port, folder) {
      if (prometheusProgram === undefined) throw new Error("there is no prometheus");
      writeFileSync(join(folder, "prometheus.yaml"), config);
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
      const args = [
        `--config.file=${join(folder, "prometheus.yaml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--log.level=warn",
      ];
      return { program: prometheusProgram, args };
    },
    isReady: (port) => answers(`http://127.0.0.1:${port}/-/ready`),
  });
}

/** Whether a GET is answered with 200. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
