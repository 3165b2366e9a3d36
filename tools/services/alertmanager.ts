// Alertmanager for one suite.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./find.ts";
import { answers } from "./prometheus.ts";
import { TestServer } from "./server.ts";

/** Debian names the server after its package. */
export const alertmanagerProgram: string | undefined = findProgram(
  "prometheus-alertmanager",
  "alertmanager",
);

/** `config` is the text of its configuration file. It joins no cluster. */
export function startAlertmanager(config: string): Promise<TestServer> {
  return TestServer.start({
    name: "alertmanager",
    command(port, folder) {
      if (alertmanagerProgram === undefined) throw new Error("there is no alertmanager");
      writeFileSync(join(folder, "alertmanager.yaml"), config);
      const args = [
        `--config.file=${join(folder, "alertmanager.yaml")}`,
        `--storage.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--cluster.listen-address=",
        "--log.level=warn",
      ];
      return { program: alertmanagerProgram, args };
    },
    isReady: (port) => answers(`http://127.0.0.1:${port}/-/ready`),
  });
}
