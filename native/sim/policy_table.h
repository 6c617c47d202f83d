/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_SIM_POLICY_TABLE_H
#define MARLLB_SIM_POLICY_TABLE_H
#include "policy.h"

extern const struct sim_policy sim_policy_true, sim_policy_avail, sim_policy_exec, sim_policy_adversary;
/* A heuristic of the core, or NULL. */
const struct sim_policy *sim_policy_core(const char *name);
#endif
