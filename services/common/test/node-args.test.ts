// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { NODE_ARGS } from "../node-args.js";
import { projectRoot } from "../root.js";

test("deploy/ starts the services with the same arguments", (t) => {
  const read = (file: string): string => readFileSync(join(projectRoot, "deploy", file), "utf8");
  t.regex(read("systemd/marllb@.service"), new RegExp(`node ${NODE_ARGS.join(" ")} /opt`));
  t.true(read("containers/Dockerfile").includes(`ENTRYPOINT ${JSON.stringify(["node", ...NODE_ARGS]).replaceAll(",", ", ")}`));
});
