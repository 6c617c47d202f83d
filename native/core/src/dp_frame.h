/* SPDX-License-Identifier: Apache-2.0 */
/* Summing the workers into one record a server. */
#ifndef MARLLB_DP_FRAME_H
#define MARLLB_DP_FRAME_H
#include "dp_types.h"

/* Merges the closed frame's reservoirs, a slice a call, so that a weight vector never waits long. True when all are merged. */
bool dp_merge_slice(struct mlb_dp *);
void dp_sum_server(struct mlb_dp *, struct dp_vip *, uint32_t slot, struct mlb_server_rec *);
#endif
