// SPDX-License-Identifier: Apache-2.0
// npm run bench:policies: the simulator, the policies, and what a decision costs.
import { benchMain, type Group } from "./harness.js";
import { calibration } from "./policies/calibration.js";
import { family } from "./policies/family.js";
import { inference } from "./policies/inference.js";
import { named } from "./policies/named.js";
import { policyOrder } from "./policies/order.js";

const groups: Group[] = [calibration, family, named, inference, policyOrder];

await benchMain("bench:policies", groups);
