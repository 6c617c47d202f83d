/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs: what a worker sees of one (struct mlb_wvip), and its life. */
#ifndef MARLLB_DP_VIP_H
#define MARLLB_DP_VIP_H
#include "dp_types.h"

/* Takes a VIP that is being deleted away once its last server has left and nobody can start a flow there. */
void dp_vip_poll(struct mlb_dp *, struct dp_vip *);
/* At the end, when no worker runs any more. */
void dp_vip_free(struct mlb_dp *, struct dp_vip *);
#endif
