/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/policy.h"

static void step(const struct mlb_policy_in *in, float *state, struct mlb_policy_out *out)
{
	(void)state;
	for (uint32_t i = 0; i < in->n; i++)
		out->weight[i] = in->weight_static[i];
}

/* kappa 1: with mode sed the standard SED (shortest expected delay). */
const struct mlb_policy mlb_policy_static = { "static", "the configured weights", 1, 0, 0, step };
