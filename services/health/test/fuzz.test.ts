// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { fuzzService } from "../../../testbed/fuzz.js";
import { create } from "../service.js";

fuzzService(test, "health", create);
