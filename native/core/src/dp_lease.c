/* SPDX-License-Identifier: Apache-2.0 */
/* Last fallback: if the agent's heartbeat is older than the lease, weights are static until it sends a vector again. A policy's
 * weights are of a moment; those that an operator ordered are in force until they are ordered otherwise. */
#include "dp_lease.h"

#include "dp_servers.h"
#include "dp_table.h"

void dp_agent_seen(struct mlb_dp *dp)
{
	dp->agent_alive = true;
	dp->heartbeat_us = dp->now_us;
}

uint64_t dp_lease_left_us(const struct mlb_dp *dp)
{
	uint64_t over = dp->heartbeat_us + dp->conf.region.lease_us + 1;
	return !dp->region.hdr || !dp->agent_alive ? UINT64_MAX : over > dp->now_us ? over - dp->now_us : 0;
}

void dp_lease_poll(struct mlb_dp *dp)
{
	uint64_t heartbeat = MLB_LD_ACQ(dp->region.hdr->agent_heartbeat);
	if (heartbeat != dp->heartbeat) {
		dp->heartbeat = heartbeat;
		dp_agent_seen(dp);
		return;
	}
	if (!dp->agent_alive || dp->now_us - dp->heartbeat_us <= dp->conf.region.lease_us)
		return;
	dp->agent_alive = false;
	DP_EACH_VIP(dp, v) {
		bool waited = dp_newcomers_end(v);
		if (v->ladder == MLB_LADDER_STATIC_DP || (v->exact && !waited))
			continue;
		if (!v->exact)
			dp_use_static(v);
		if (dp_table_swap(dp, v) != 0)
			dp->agent_alive = true; /* no memory: once more at the next poll */
	}
}
