// SPDX-License-Identifier: Apache-2.0
// npm run bench:vpp: VPP's own lb and ours on identical streams in one VPP process; rows of issue "The VPP plugin".
import { benchMain } from "./harness.js";
import { clocks } from "./vpp/clocks.js";
import { loss } from "./vpp/loss.js";
import { mission } from "./vpp/mission.js";
import { newflow } from "./vpp/newflow.js";
import { packets } from "./vpp/packets.js";
import { threads } from "./vpp/threads.js";
import { toggles } from "./vpp/toggles.js";
import { weights } from "./vpp/weights.js";

// Exit handlers end the VPP of a run that is broken off.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
await benchMain("bench:vpp", [clocks, newflow, weights, mission, threads, toggles, loss, packets]);
