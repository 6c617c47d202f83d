/* SPDX-License-Identifier: Apache-2.0 */
/* Out of the data plane: frames, effects, live counts, the recount. */
#ifndef MARLLB_DP_PUBLISH_H
#define MARLLB_DP_PUBLISH_H
#include "dp_types.h"

/* False: the frame is due and more of it waits to be merged. */
bool dp_frame_poll(struct mlb_dp *);
void dp_effect_poll(struct mlb_dp *);
/* Main, or the one worker that does this in its stead: it looks at what workers may look at only. */
void dp_live_poll(struct mlb_dp *, uint64_t now_us);
void dp_recount_poll(struct mlb_dp *);
#endif
