// SPDX-License-Identifier: Apache-2.0
import { run } from "../common/run.js";

void run("shm_agent", () => import("./service.js"));
