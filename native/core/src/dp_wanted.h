/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_DP_WANTED_H
#define MARLLB_DP_WANTED_H
#include "dp_types.h"

/* A configured weight: finite, above 0. */
int dp_weight_check(float weight, const struct mlb_endpoint *, char *err);
/* Weights good, addresses distinct, no more than the VIP has slots. */
int dp_wanted_check(struct dp_vip *, const struct mlb_endpoint *, const float *weight, uint32_t n, char *err);
#endif
