// SPDX-License-Identifier: Apache-2.0
import { run } from "../common/run.js";

await run("console", () => import("./service.js"));
