/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/policy.h"

static void step(const struct mlb_policy_in *in, float *state, struct mlb_policy_out *out)
{
	(void)state;
	for (uint32_t i = 0; i < in->n; i++)
		out->weight[i] = in->kalman[i];
}

const struct mlb_policy mlb_policy_kalman = {
	"kalman", "a Kalman filter over each server's speed, from own counts", 0, 0, MLB_POLICY_KALMAN, step
};
