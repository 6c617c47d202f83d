// SPDX-License-Identifier: Apache-2.0
// npm run bench:vpp: VPP's own lb and ours on identical streams in one VPP process; rows of issue "The VPP plugin".
import { benchMain } from "./harness.js";
import { clocks } from "./vpp/clocks.js";
import { newflow } from "./vpp/newflow.js";
import { weights } from "./vpp/weights.js";

await benchMain("bench:vpp", [clocks, newflow, weights]);
