// SPDX-License-Identifier: Apache-2.0
// The policies that need no model.

export interface PolicyInfo {
  name: string;
  note: string;
}

export const builtin: readonly PolicyInfo[] = [
  { name: "uniform", note: "the same weight for every server" },
  { name: "static", note: "the configured weights" },
];
