// SPDX-License-Identifier: Apache-2.0
// npm run bench:policies: the simulator and the policies. Groups that need more than the simulator (inference.*, tcp.policy_order)
// stand in files of their own and are added to this list.
import { benchMain, type Group } from "./harness.js";
import { calibration } from "./policies/calibration.js";
import { family } from "./policies/family.js";
import { named } from "./policies/named.js";

const groups: Group[] = [calibration, family, named];

await benchMain("bench:policies", groups);
