/* SPDX-License-Identifier: Apache-2.0 */
#include "policies.h"
#include "model.h"
#include <string.h>

static const struct sim_policy *const table[] = {
	&sim_policy_true,      &sim_policy_avail, &sim_policy_model,    &sim_policy_exec,   &sim_policy_adversary,
	&sim_policy_kalman_v1, &sim_policy_hlb,   &sim_policy_knapsack, &sim_policy_strata,
};

const struct sim_policy *sim_policy_find(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i]->name, name) == 0)
			return table[i];
	return sim_policy_core(name);
}
