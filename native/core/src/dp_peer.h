/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of other load balancers that share the pool. */
#ifndef MARLLB_DP_PEER_H
#define MARLLB_DP_PEER_H
#include "dp_types.h"

void dp_peer_poll(struct mlb_dp *);
#endif
