/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's lease. */
#ifndef MARLLB_DP_LEASE_H
#define MARLLB_DP_LEASE_H
#include "dp_types.h"

void dp_lease_poll(struct mlb_dp *);
/* Until the lease runs out; UINT64_MAX: nothing to wait for. */
uint64_t dp_lease_left_us(const struct mlb_dp *);
void dp_agent_seen(struct mlb_dp *);
#endif
