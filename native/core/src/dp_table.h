/* SPDX-License-Identifier: Apache-2.0 */
/* From a VIP's servers to the table that workers choose from, and the swap. */
#ifndef MARLLB_DP_TABLE_H
#define MARLLB_DP_TABLE_H
#include "dp_types.h"

/* Builds from what the VIP holds now and swaps one pointer per worker. -ENOMEM leaves the old table in place. */
int dp_table_swap(struct mlb_dp *, struct dp_vip *);
float dp_kappa(const struct dp_vip *);
/* The static step of the ladder: static weight x directive's factor, no bias, default kappa. Masks do not loosen. */
void dp_use_static(struct dp_vip *);
#endif
