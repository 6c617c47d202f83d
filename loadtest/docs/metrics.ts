// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { FILE, page } from "./metrics-page.js";

writeFileSync(FILE, await page());
// The services that were made to be looked at hold timers and clients.
process.exit(0);
