/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/policy.h"

static void step(const struct mlb_policy_in *in, float *state, struct mlb_policy_out *out)
{
	(void)state;
	for (uint32_t i = 0; i < in->n; i++)
		out->weight[i] = 1;
}

/* kappa 1: with mode sed the standard LSQ (least connections). */
const struct mlb_policy mlb_policy_uniform = { "uniform", "the same weight for every server", 1, 0, 0, step };
