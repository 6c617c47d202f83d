// SPDX-License-Identifier: Apache-2.0
// npm run bench:policies: the simulator, the policies, and what a decision costs.
import { benchMain, type Group } from "./harness.js";
import { ablation } from "./policies/ablation.js";
import { calibration } from "./policies/calibration.js";
import { capacity } from "./policies/capacity.js";
import { family } from "./policies/family.js";
import { inference } from "./policies/inference.js";
import { light } from "./policies/light.js";
import { llm } from "./policies/llm.js";
import { named } from "./policies/named.js";
import { policyOrder } from "./policies/order.js";
import { situations } from "./policies/situations.js";
import { v2 } from "./policies/v2.js";

const groups: Group[] = [calibration, family, v2, named, situations, light, capacity, llm, ablation, inference, policyOrder];

await benchMain("bench:policies", groups);
