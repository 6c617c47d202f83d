/* SPDX-License-Identifier: Apache-2.0 */
/* The guard (marllb/guard.h) over each new frame. */
#ifndef MARLLB_DP_GUARD_H
#define MARLLB_DP_GUARD_H
#include "dp_types.h"

/* After a frame was published: its VIPs are to be looked at. */
void dp_guard_begin(struct mlb_dp *);
/* One VIP a call, so that a weight vector never waits long. True when all were looked at. */
bool dp_guard_poll(struct mlb_dp *);
#endif
