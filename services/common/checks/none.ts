// SPDX-License-Identifier: Apache-2.0
import type { Check } from "./check.js";

export const check: Check = {
  kind: "none",
  help: "no checks; only what flows show",
  schema: {},
  start: null,
};
