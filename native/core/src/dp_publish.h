/* SPDX-License-Identifier: Apache-2.0 */
/* Out of the data plane: frames, effects, the recount. */
#ifndef MARLLB_DP_PUBLISH_H
#define MARLLB_DP_PUBLISH_H
#include "dp_types.h"

/* False: the frame is due and more of it waits to be merged or summed. */
bool dp_frame_poll(struct mlb_dp *);
void dp_effect_poll(struct mlb_dp *);
void dp_recount_poll(struct mlb_dp *);
#endif
