/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of servers that left. */
#ifndef MARLLB_DP_SLOTS_H
#define MARLLB_DP_SLOTS_H
#include "dp_types.h"

/* Empties the slots whose last flow has ended and whose grace period is over. */
void dp_slots_poll(struct mlb_dp *, struct dp_vip *);
#endif
