// SPDX-License-Identifier: Apache-2.0
// npm start [-- flags]: set-up, then `marllbctl up` in this very process, so that signals reach it directly.
import { setupOrExit } from "./setup.mjs";

const asked = process.argv.slice(2);
await setupOrExit();
process.argv.splice(2, asked.length, "up", ...asked);
await import("../dist/programs/marllbctl.js");
