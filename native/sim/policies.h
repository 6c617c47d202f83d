/* SPDX-License-Identifier: Apache-2.0 */
/* The policies there are, each defined in its policy_*.c or adversary.c; policy_table.c finds them by name. */
#ifndef MARLLB_SIM_POLICIES_H
#define MARLLB_SIM_POLICIES_H
#include "policy.h"

extern const struct sim_policy sim_policy_true, sim_policy_avail, sim_policy_exec, sim_policy_adversary, sim_policy_kalman_v1,
	sim_policy_hlb, sim_policy_knapsack, sim_policy_strata;
/* A heuristic of the core, or NULL. */
const struct sim_policy *sim_policy_core(const char *name);
#endif
