/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of flows by server: the data plane's own out, those of others in. */
#ifndef MARLLB_DP_LIVE_H
#define MARLLB_DP_LIVE_H
#include "dp_types.h"

/* Main, or the one worker that does this in its stead: it looks at what workers may look at only. */
void dp_live_poll(struct mlb_dp *, uint64_t now_us);
#endif
