/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker sees of a VIP (struct mlb_wvip). */
#ifndef MARLLB_DP_WVIP_H
#define MARLLB_DP_WVIP_H
#include "dp_types.h"

/* NULL: no memory. */
struct mlb_wvip *dp_wvip_new(const struct mlb_vip_conf *);
void dp_wvip_free(struct mlb_wvip *);
/* So many of the VIP's slots are about to be used. */
void dp_wvip_expect(struct mlb_dp *, struct dp_vip *, uint32_t slots);
#endif
